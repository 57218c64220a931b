"""What Docker could not tell changes nothing, is said once, and holds up nobody else."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared import metrics
from shared.ids import container_name
from tests.support.daemon import State
from tests.support.exchange import Request
from tests.support.wire import FAULTS, NO_SOCKET, REFUSED, Answer, Close, Hang, Slow
from tests.sweeper.scene import Scene

DEAD = State("exited", exit_code=1)
INSPECT = "/containers/ws-*/json"
LIST = "/containers/json"

REASONS = {
    "403": "refused",
    "404 page not found": "refused",
    "404 html": "refused",
    "502": "refused",
    "redirect": "refused",
    "half a body": "unreachable",
    "half a json": "malformed",
    "nothing": "unreachable",
    "reset": "unreachable",
    "hang": "timeout",
    REFUSED: "unreachable",
    NO_SOCKET: "unreachable",
}


def test_every_fault_has_its_reason() -> None:
    assert set(REASONS) == set(FAULTS)


@pytest.fixture(params=REASONS)
async def fault(request: pytest.FixtureRequest, scene: Scene) -> AsyncIterator[str]:
    """One of FAULTS; the one that takes a whole timeout takes a short one."""
    async with scene.other_timeout(0.5 if request.param == "hang" else 3):
        yield request.param


async def test_a_faulty_inspect_is_no_answer(scene: Scene, fault: str) -> None:
    workspaces = [await scene.add(container=DEAD), await scene.add()]
    waiting = await scene.add("offline", reason="exited", container=State())
    if fault in (REFUSED, NO_SOCKET):
        scene.restart(OFFLINE_GRACE="0.3", ONLINE_GRACE="0.3")
        await scene.sweeper.sweep()  # its list is a healthy one, and says that two are dead
        await scene.daemon.fault(fault)
        report = await scene.settle()
    else:
        await scene.daemon.fault(fault)
        for path in ("/version", LIST):
            scene.daemon.answer(path, _healthy)
        report = await scene.sweep()
    assert report.unknown == 3
    assert {await scene.status(workspace) for workspace in workspaces} == {"online"}
    assert await scene.status(waiting) == "offline"
    for workspace in (*workspaces, waiting):
        (line,) = scene.events("workspace.state_unknown", workspace_id=str(workspace))
        assert (line["log_level"], line["reason"]) == ("warning", REASONS[fault])

    await scene.daemon.heal()
    assert (await scene.sweep()).unknown == 0
    assert {await scene.status(workspace) for workspace in workspaces} == {"offline"}
    assert await scene.status(waiting) == "online"


async def _healthy(_: Request) -> None:
    """A hook that changes nothing."""


async def test_a_faulty_engine_is_said_on_its_edges(scene: Scene, fault: str) -> None:
    workspaces = [await scene.add(container=State()) for _ in range(3)]
    await scene.daemon.fault(fault)
    for _ in range(3):
        report = await scene.sweep()
        assert (report.unknown, report.inspects) == (3, 0)
    (line,) = scene.events("engine.unreachable")
    assert (line["log_level"], line["reason"], line["failures"]) == ("warning", REASONS[fault], 1)
    assert not scene.events("workspace.state_unknown")
    assert not scene.events("engine.recovered")

    await scene.daemon.heal()
    assert (await scene.sweep()).running == 3
    await scene.sweep()
    (line,) = scene.events("engine.recovered")
    assert (line["log_level"], line["failures"]) == ("info", 3)
    assert line["down_s"] >= 0
    assert {await scene.status(workspace) for workspace in workspaces} == {"online"}
    await scene.daemon.fault("502")
    await scene.sweep()
    assert len(scene.events("engine.unreachable")) == 2


async def test_a_streak_is_said_once_and_counted(scene: Scene) -> None:
    workspace = await scene.add(container=DEAD)
    scene.daemon.answer(INSPECT, Answer(500, {"message": "no"}))
    for _ in range(3):
        assert (await scene.sweep()).unknown == 1
    (line,) = scene.events("workspace.state_unknown")
    assert (line["workspace_id"], line["reason"], line["status"]) == (str(workspace), "refused", 500)
    assert [line["unknown"] for line in scene.events("sweep.completed")] == [1, 1, 1]

    await scene.daemon.heal()
    scene.put(workspace, State())
    assert (await scene.sweep()).running == 1  # a definite answer ends the streak
    scene.put(workspace, DEAD)
    scene.daemon.answer(INSPECT, Answer(500, {"message": "no"}))
    await scene.sweep()
    assert len(scene.events("workspace.state_unknown")) == 2


async def test_a_word_of_the_list_that_nobody_knows_is_no_answer(scene: Scene) -> None:
    online = await scene.add(container=State("zombie"))
    offline = await scene.add("offline", reason="exited", container=State("zombie"))
    fine = await scene.add(container=DEAD)
    for _ in range(2):
        assert (await scene.sweep()).unknown == 2
    assert (await scene.status(online), await scene.status(offline)) == ("online", "offline")
    assert await scene.status(fine) == "offline"
    assert len(scene.events("workspace.state_unknown", reason="malformed")) == 2
    assert scene.daemon.inspects == [name for name in scene.daemon.containers if str(fine) in name]


async def test_the_streak_of_a_row_that_left_is_forgotten(scene: Scene) -> None:
    workspace, last = [await scene.add(container=State("zombie")) for _ in range(2)]
    await scene.sweep()
    assert metrics.UNKNOWN_STREAKS._value.get() == 2
    await scene.write(workspace, status="'removed'")
    await scene.sweep()
    assert metrics.UNKNOWN_STREAKS._value.get() == 1
    await scene.write(last, status="'removed'")
    await scene.sweep()
    assert metrics.UNKNOWN_STREAKS._value.get() == 0


async def test_one_that_hangs_holds_up_nobody(scene: Scene) -> None:
    async with scene.other_timeout(20):
        sick = await scene.add(container=State("exited", delay=60))
        dead = [await scene.add(container=DEAD) for _ in range(3)]
        sweeping = asyncio.create_task(scene.sweep())
        async with asyncio.timeout(5):
            while {await scene.status(workspace) for workspace in dead} != {"offline"}:
                await asyncio.sleep(0.05)
        assert not sweeping.done()
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
        assert await scene.status(sick) == "online"


async def test_one_that_hangs_holds_up_no_grace(scene: Scene) -> None:
    async with scene.other_timeout(20, OFFLINE_GRACE="0.2", ONLINE_GRACE="0.2"):
        sick = await scene.add("offline", reason="exited", container=State(delay=60))  # asked at once
        dead = await scene.add(container=DEAD)
        back = await scene.add("offline", reason="exited", container=State())
        sweeping = asyncio.create_task(scene.sweep())
        async with asyncio.timeout(5):
            while (await scene.status(dead), await scene.status(back)) != ("offline", "online"):
                await asyncio.sleep(0.05)
        assert not sweeping.done()
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
        assert await scene.status(sick) == "offline"


async def test_an_answer_that_takes_longer_than_the_interval_counts(scene: Scene) -> None:
    async with scene.other_timeout(2.5, SWEEP_INTERVAL="1"):
        slow = await scene.add(container=State("exited", delay=1.8))
        sick = await scene.add(container=State("exited", delay=60))
        await scene.sweep()
        assert (await scene.status(slow), await scene.status(sick)) == ("offline", "online")
        assert scene.events("workspace.state_unknown", workspace_id=str(sick), reason="timeout")
        assert not scene.events("sweep.aborted")


async def test_many_that_hang_do_not_starve_the_others(scene: Scene) -> None:
    async with scene.other_timeout(0.3, SWEEP_INTERVAL="1"):  # nobody is asked after that long
        sick = [await scene.add(container=State("exited", delay=60)) for _ in range(100)]
        await scene.sweep()
        assert scene.events("sweep.aborted", reason="timeout")
        dead = [await scene.add(container=DEAD) for _ in range(5)]
        await scene.sweep()
        assert {await scene.status(workspace) for workspace in dead} == {"offline"}
        assert {await scene.status(workspace) for workspace in sick} == {"online"}


async def test_an_engine_that_leaves_while_it_is_asked_is_asked_no_more(scene: Scene) -> None:
    async with scene.other_timeout(20):
        workspaces = [await scene.add(container=DEAD) for _ in range(30)]
        scene.daemon.answer(INSPECT, Slow(30))
        scene.daemon.answer(f"/containers/{container_name(workspaces[0])}/json", Close())
        async with asyncio.timeout(5):
            report = await scene.sweep()
        (line,) = scene.events("sweep.aborted")
        assert (line["log_level"], line["reason"], line["remaining"]) == ("warning", "unreachable", 29)
        assert report.inspects < 30
        assert {await scene.status(workspace) for workspace in workspaces} == {"online"}


async def test_a_list_that_hangs_costs_one_timeout_for_all(scene: Scene) -> None:
    for _ in range(30):
        await scene.add(container=State())
    scene.daemon.answer(LIST, Hang())
    async with scene.other_timeout(0.5), asyncio.timeout(2):
        report = await scene.sweep()
    assert (report.unknown, report.inspects) == (30, 0)
