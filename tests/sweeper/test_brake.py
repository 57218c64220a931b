"""The wrong-engine brake: not one of the fleet's containers is there, and many would go offline."""

from uuid import UUID

import pytest

from shared import metrics
from tests.support.daemon import State
from tests.support.postgres import connected
from tests.support.processes import run_command
from tests.sweeper.scene import Scene

DEAD = State("exited", exit_code=1)


async def _fleet(scene: Scene, size: int) -> list[UUID]:
    scene.daemon.containers["somebody-elses"] = State()
    return [await scene.add("online" if number % 2 else "degraded") for number in range(size)]


async def _offline(scene: Scene) -> int:
    return int(
        await scene.connection.fetchval("SELECT count(*) FROM public.workspaces WHERE status = 'offline'")
    )


async def test_five_are_held(scene: Scene) -> None:
    await _fleet(scene, 5)
    for _ in range(6):
        report = await scene.sweep()
        assert (report.held, report.marked_offline, report.inspects) == (5, 0, 0)
    assert await _offline(scene) == 0
    (line,) = scene.events("sweep.held")
    assert (line["log_level"], line["would_mark_offline"], line["of"]) == ("warning", 5, 5)
    assert line["reason"] == "no_container_of_the_fleet"
    assert metrics.HELD._value.get() == 1


async def test_four_are_not(scene: Scene) -> None:
    await _fleet(scene, 4)
    await scene.add("offline", reason="heartbeat_stale")  # no candidate
    report = await scene.sweep()
    assert (report.held, report.marked_offline) == (0, 4)
    assert not scene.events("sweep.held")


async def test_graces_that_run_are_counted_and_held(scene: Scene) -> None:
    scene.restart(OFFLINE_GRACE="0.3")
    await _fleet(scene, 3)
    await scene.sweeper.sweep()
    assert not scene.events("sweep.held")
    await _fleet(scene, 2)
    await scene.sweeper.sweep()  # three of the graces end before the next list
    assert scene.events("sweep.held", would_mark_offline=5)
    report = await scene.settle()
    assert (report.held, await _offline(scene), scene.daemon.inspects) == (5, 0, [])


async def test_nothing_waits_for_a_grace_that_is_held(scene: Scene) -> None:
    scene.restart(OFFLINE_GRACE="60")
    await _fleet(scene, 5)
    await scene.sweeper.sweep()
    assert scene.sweeper.next_due() is None


async def test_it_holds_until_one_is_seen(scene: Scene) -> None:
    workspaces = await _fleet(scene, 6)
    await scene.sweep()
    for workspace in workspaces[:3]:
        await scene.write(workspace, status="'paused'")
    assert (await scene.sweep()).held == 3  # fewer than five, and still the wrong engine
    assert await _offline(scene) == 0

    scene.put(workspaces[-1], State())
    report = await scene.sweep()
    assert (report.held, report.marked_offline) == (0, 2)
    (line,) = scene.events("sweep.released")
    assert (line["log_level"], line["would_mark_offline"], line["of"]) == ("info", 2, 3)
    assert metrics.HELD._value.get() == 0
    assert await scene.status(workspaces[-1]) == "online"


async def test_it_holds_nothing_once_no_workspace_has_a_container(scene: Scene) -> None:
    workspaces = await _fleet(scene, 5)
    await scene.sweep()
    for workspace in workspaces:
        await scene.write(workspace, status="'removed'")
    report = await scene.sweep()
    assert report.held == metrics.HELD._value.get() == 0
    (line,) = scene.events("sweep.released")
    assert (line["would_mark_offline"], line["of"]) == (0, 0)
    assert scene.sweeper.next_due() is None


async def test_a_container_that_is_there_and_dead_was_seen(scene: Scene) -> None:
    workspaces = await _fleet(scene, 6)
    scene.put(workspaces[0], DEAD)
    assert (await scene.sweep()).marked_offline == 6


async def test_a_container_of_one_that_is_offline_was_seen(scene: Scene) -> None:
    await _fleet(scene, 5)
    await scene.add("offline", reason="heartbeat_stale", container=DEAD)
    assert (await scene.sweep()).marked_offline == 5


async def test_a_container_of_an_external_one_says_nothing(scene: Scene) -> None:
    await _fleet(scene, 5)
    await scene.add(runtime="external", container=State())
    await scene.add(runtime="mock", container=State())
    await scene.add("paused", container=State())
    assert (await scene.sweep()).held == 5


async def test_a_silent_engine_neither_holds_nor_releases(scene: Scene) -> None:
    await _fleet(scene, 5)
    await scene.sweep()
    await scene.daemon.fault("502")
    await scene.sweep()
    assert not scene.events("sweep.released")
    await scene.daemon.heal()
    assert (await scene.sweep()).held == 5
    assert (len(scene.events("sweep.held")), await _offline(scene)) == (1, 0)


async def test_force_lifts_it_for_one_sweep(scene: Scene) -> None:
    await _fleet(scene, 5)
    await scene.sweep()
    report = await scene.sweep(force=True)
    assert (report.held, report.marked_offline) == (0, 5)
    assert scene.events("sweep.released")
    await _fleet(scene, 5)
    assert (await scene.sweep()).held == 5


@pytest.mark.usefixtures("processes")
async def test_the_command_holds_and_forces_too(scene: Scene) -> None:
    await _fleet(scene, 5)
    environment = {
        "DATABASE_URL": scene.url,
        "DOCKER_HOST": scene.daemon.host,
        "HEALTHSWEEP_HOME": "/nonexistent",
        "OFFLINE_GRACE": "0.1",
    }
    held = await run_command("sweep", "--once", "--json", environment=environment)
    assert (held.status, held.json["held"], held.json["marked_offline"]) == (0, 5, 0)
    dry = await run_command("sweep", "--once", "--dry-run", "--force", "--json", environment=environment)
    assert (dry.status, dry.json["held"], dry.json["marked_offline"]) == (0, 0, 0)
    async with connected(scene.url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM healthsweep.history") == 0
    forced = await run_command("sweep", "--once", "--force", "--json", environment=environment)
    assert (forced.status, forced.json["held"], forced.json["marked_offline"]) == (0, 0, 5)
    assert await _offline(scene) == 5
