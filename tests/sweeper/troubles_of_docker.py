"""Scenarios: what can happen to a real dockerd, and to a container of it."""

import asyncio
import time

from tests.support.engine import DockerEngine
from tests.sweeper.service import statuses
from tests.sweeper.side_by_side import SWEEPS, Ground, Play, scenario

STOPPED_S = 60


@scenario
async def dockerd_hangs_for_a_minute(ground: Ground) -> None:
    place = ground.place()
    async with DockerEngine(place / "d") as engine, Play(engine, await ground.database(), place) as play:
        workspaces = await play.fleet(4)
        async with play.sweeper() as sweeper:
            await play.all_is_well(sweeper)
            dying = workspaces[0]
            await play.containers[dying].kill()  # its grace may have begun when nobody answers any more
            engine.pause()
            here = sweeper.position
            await asyncio.sleep(STOPPED_S)
            assert len(sweeper.events("sweep.completed", after=here)) >= SWEEPS
            (line,) = sweeper.events("engine.unreachable", after=here)
            assert line["reason"] == "timeout"
            now = await statuses(play.url)
            assert {now[workspace] for workspace in workspaces[1:]} == {"online"}
            engine.resume()
            line = await sweeper.event("engine.recovered", after=here)
            assert line["down_s"] >= STOPPED_S - 10
            await play.becomes(dying, "offline", timeout=20)
            await sweeper.sweeps(2)
            await play.is_alive(sweeper, workspaces[1])
        assert not await play.false_offlines()
        assert {row.workspace_id for row in await play.transitions()} == set(workspaces[:2])


@scenario
async def dockerd_is_killed_and_started(ground: Ground) -> None:
    place = ground.place()
    async with DockerEngine(place / "d") as engine, Play(engine, await ground.database(), place) as play:
        workspaces = await play.fleet(3)
        async with play.sweeper() as sweeper:
            await play.all_is_well(sweeper)
            here = sweeper.position
            await engine.kill()
            await sweeper.event("engine.unreachable", after=here)
            await sweeper.sweeps(SWEEPS)
            assert await play.all_online()
            await engine.start()
            await sweeper.event("engine.recovered", after=here, timeout=60)
            for workspace in workspaces:  # without live-restore they have ended with their daemon
                await play.becomes(workspace, "offline", timeout=20)
            assert len(sweeper.events("workspace.marked_offline", reason="exited")) == len(workspaces)
            await play.containers[workspaces[0]].start()
            await play.becomes(workspaces[0], "online", timeout=20)
            await sweeper.sweeps(2)
        assert not await play.false_offlines()
        assert len(await play.transitions()) == 4


@scenario
async def dockerd_with_live_restore_is_killed_and_started(ground: Ground) -> None:
    place = ground.place()
    async with (
        DockerEngine(place / "d", live_restore=True) as engine,
        Play(engine, await ground.database(), place) as play,
    ):
        workspaces = await play.fleet(3)
        async with play.sweeper() as sweeper:
            await play.all_is_well(sweeper)
            here = sweeper.position
            await engine.kill()
            await sweeper.event("engine.unreachable", after=here)
            await sweeper.sweeps(SWEEPS)
            await engine.start()
            await sweeper.event("engine.recovered", after=here, timeout=60)
            await sweeper.sweeps(SWEEPS)
            await engine.stop()
            await sweeper.sweeps(2)
            await engine.start()
            await sweeper.sweeps(SWEEPS)
            assert await play.transitions() == []  # no row at all
            await play.is_alive(sweeper, workspaces[0])
        assert not await play.false_offlines()


@scenario
async def one_shim_is_stopped(ground: Ground) -> None:
    async with Play(ground.engine, await ground.database(), ground.place()) as play:
        sick, healthy = await play.fleet(2)
        (sick_too,) = await play.fleet(1, status="offline", reason="created")
        async with (
            ground.engine.sick(play.containers[sick]),
            ground.engine.sick(play.containers[sick_too]),
            play.sweeper(SWEEP_INTERVAL="4", OFFLINE_GRACE="1", ONLINE_GRACE="2") as sweeper,
        ):
            # Whether the second one may come online must be asked in each sweep, and is not answered.
            line = await sweeper.event("workspace.state_unknown", workspace_id=str(sick_too))
            assert line["reason"] == "timeout"
            await sweeper.sweeps(1)
            await play.containers[healthy].kill()
            began = time.monotonic()
            await play.becomes(healthy, "offline", timeout=30)
            assert time.monotonic() - began < 4 + 1 + 2, "it waited for the sick ones, for ENGINE_TIMEOUT"
            await sweeper.sweeps(1)
            await play.containers[healthy].start()
            began = time.monotonic()
            await play.becomes(healthy, "online", timeout=30)
            assert time.monotonic() - began < 4 + 2 + 2
            await sweeper.sweeps(SWEEPS - 3)
            now = await statuses(play.url)
            assert (now[sick], now[sick_too]) == ("online", "offline")
        assert not await play.false_offlines()


@scenario
async def docker_host_names_an_empty_engine(ground: Ground) -> None:
    async with Play(ground.engine, await ground.database(), ground.place()) as play:
        await play.fleet(5)
        async with play.sweeper() as sweeper:
            await play.all_is_well(sweeper)
        async with play.sweeper(DOCKER_HOST=ground.empty.host) as sweeper:
            line = await sweeper.event("sweep.held")
            assert (line["would_mark_offline"], line["of"]) == (5, 5)
            await sweeper.sweeps(SWEEPS)
            assert len(sweeper.events("sweep.held")) == 1
            assert all(line["inspects"] == 0 for line in sweeper.events("sweep.completed"))
        async with play.sweeper() as sweeper:
            await play.all_is_well(sweeper)
            await sweeper.sweeps(1)
        assert await play.transitions() == []
        assert await play.all_online()
