"""A status changes on the second look, and that is taken when the grace ends."""

import asyncio
import time
from dataclasses import replace

import pytest

from tests.support.daemon import State
from tests.support.wire import Answer
from tests.sweeper.scene import Scene

DEAD = State("exited", exit_code=1)
LATER = "2026-01-01T00:00:07Z"
INSPECT = "/containers/ws-*/json"


async def test_the_second_look_for_offline_comes_when_the_grace_ends(scene: Scene) -> None:
    scene.restart(SWEEP_INTERVAL="3600", OFFLINE_GRACE="0.2")
    workspace = await scene.add(container=DEAD)
    started = time.monotonic()
    await scene.sweeper.sweep()
    assert (await scene.status(workspace), scene.daemon.inspects) == ("online", [])
    due = scene.sweeper.next_due()
    assert due is not None
    assert 0.2 <= due - started < 5
    await scene.sweeper.settle()  # too early: nobody is asked
    assert scene.daemon.inspects == []
    await scene.settle()
    assert time.monotonic() - started >= 0.2
    assert (await scene.status(workspace), len(scene.daemon.inspects)) == ("offline", 1)
    assert (await scene.history(workspace))[0]["reason"] == "exited"


async def test_a_grace_is_not_prolonged_by_the_sweeps_within_it(scene: Scene) -> None:
    scene.restart(OFFLINE_GRACE="1.5")
    workspace = await scene.add(container=DEAD)
    await scene.sweeper.sweep()
    due = scene.sweeper.next_due()
    for _ in range(5):
        await asyncio.sleep(0.02)
        await scene.sweeper.sweep()
        assert scene.sweeper.next_due() == due
    await scene.settle()
    assert await scene.status(workspace) == "offline"


async def test_a_list_that_contradicts_ends_the_grace(scene: Scene) -> None:
    scene.restart(OFFLINE_GRACE="0.3")
    workspace = await scene.add(container=DEAD)
    await scene.sweeper.sweep()
    scene.put(workspace, State())
    await scene.sweeper.sweep()
    assert scene.sweeper.next_due() is None
    scene.put(workspace, DEAD)
    again = time.monotonic()
    await scene.sweeper.sweep()
    due = scene.sweeper.next_due()
    assert due is not None
    assert due - again >= 0.3  # a whole new one
    assert scene.daemon.inspects == []
    await scene.settle()
    assert await scene.status(workspace) == "offline"


async def test_whoever_is_back_when_the_grace_ends_stays_online(scene: Scene) -> None:
    scene.restart(OFFLINE_GRACE="0.1")
    workspace = await scene.add(container=DEAD)
    await scene.sweeper.sweep()
    scene.put(workspace, State())
    report = await scene.settle()
    assert (report.inspects, report.running, report.marked_offline) == (1, 1, 0)
    assert await scene.status(workspace) == "online"
    assert await scene.history(workspace) == []


async def test_an_unknown_answer_keeps_the_grace(scene: Scene) -> None:
    scene.restart(OFFLINE_GRACE="0.3")
    workspace = await scene.add(container=DEAD)
    scene.daemon.answer(INSPECT, Answer(502, "bad gateway"))
    assert (await scene.sweep()).unknown == 1
    scene.daemon.answer("/containers/json", Answer(500, {"message": "no"}))
    assert (await scene.sweep()).unknown == 1  # the list failed too
    assert await scene.status(workspace) == "online"
    assert len(scene.daemon.inspects) == 2  # who is due is asked about, whatever became of the list

    await scene.daemon.heal()
    await scene.sweeper.sweep()  # no new grace is waited for
    assert await scene.status(workspace) == "offline"


async def test_a_grace_that_cannot_be_decided_waits_for_the_next_sweep(scene: Scene) -> None:
    await scene.add(container=DEAD)
    scene.daemon.answer(INSPECT, Answer(502, "bad gateway"))
    await scene.sweeper.sweep()
    assert scene.sweeper.next_due() is None


async def test_online_takes_two_looks_a_grace_apart(scene: Scene) -> None:
    scene.restart(SWEEP_INTERVAL="3600", ONLINE_GRACE="0.2")
    workspace = await scene.add("offline", reason="exited", container=State())
    await scene.sweeper.sweep()
    first = time.monotonic()
    assert (await scene.status(workspace), len(scene.daemon.inspects)) == ("offline", 1)
    await scene.settle()
    assert time.monotonic() - first >= 0.15
    assert (await scene.status(workspace), len(scene.daemon.inspects)) == ("online", 2)


@pytest.mark.parametrize(
    "other", [State(started_at=LATER), State(id="f" * 64)], ids=["restarted", "recreated"]
)
async def test_a_restart_between_the_looks_starts_over(scene: Scene, other: State) -> None:
    scene.restart(ONLINE_GRACE="0.1")
    workspace = await scene.add("offline", reason="exited", container=State())
    await scene.sweeper.sweep()
    scene.put(workspace, other)
    await scene.settle()
    assert (await scene.status(workspace), len(scene.daemon.inspects)) == ("offline", 2)
    await scene.sweep()
    assert (await scene.status(workspace), len(scene.daemon.inspects)) == ("online", 4)


async def test_a_container_that_starts_again_and_again_never_comes_online(scene: Scene) -> None:
    scene.restart(ONLINE_GRACE="0.02")
    workspace = await scene.add("offline", reason="exited", container=State())
    for second in range(10, 20):
        await scene.sweeper.sweep()
        scene.put(workspace, replace(State(), started_at=f"2026-01-01T00:00:{second}Z"))
        await scene.settle()
        assert scene.sweeper.next_due() is None, "a sweep ends, however often a container starts"
    assert await scene.status(workspace) == "offline"
    assert len(await scene.history(workspace)) == 1
    assert len(scene.daemon.inspects) == 20


async def test_an_end_between_the_looks_ends_the_grace(scene: Scene) -> None:
    scene.restart(ONLINE_GRACE="0.1")
    workspace = await scene.add("offline", reason="exited", container=State())
    await scene.sweeper.sweep()
    scene.put(workspace, DEAD)
    assert (await scene.settle()).marked_online == 0
    assert await scene.status(workspace) == "offline"
    scene.put(workspace, State())
    await scene.sweeper.sweep()
    assert await scene.status(workspace) == "offline"  # the look before the end counts no more
    await scene.settle()
    assert await scene.status(workspace) == "online"


async def test_an_unknown_second_look_keeps_the_first(scene: Scene) -> None:
    scene.restart(ONLINE_GRACE="0.1")
    workspace = await scene.add("offline", reason="exited", container=State())
    await scene.sweeper.sweep()
    scene.daemon.answer(INSPECT, Answer(500, {"message": "no"}))
    await scene.settle()
    assert await scene.status(workspace) == "offline"
    await scene.daemon.heal()
    await scene.sweeper.sweep()
    assert await scene.status(workspace) == "online"


async def test_a_new_process_starts_without_graces(scene: Scene) -> None:
    scene.restart(OFFLINE_GRACE="0.05")
    workspace = await scene.add(container=DEAD)
    await scene.sweeper.sweep()
    scene.restart(OFFLINE_GRACE="0.05")
    assert scene.sweeper.next_due() is None
    await asyncio.sleep(0.06)
    await scene.sweeper.settle()
    assert (await scene.status(workspace), scene.daemon.inspects) == ("online", [])
    await scene.sweep()
    assert await scene.status(workspace) == "offline"


async def _to_the_next_due(scene: Scene) -> None:
    due = scene.sweeper.next_due()
    assert due is not None
    await asyncio.sleep(max(0.0, due - time.monotonic()))
    await scene.sweeper.settle()
