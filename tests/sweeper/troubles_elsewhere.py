"""Scenarios: what can happen to PostgreSQL, to the sweeper itself, and to the clocks of both."""

import asyncio
import random
import signal

from tests.support.clock import FakeClock
from tests.support.history import HistoryWatch
from tests.support.judge import false_offlines
from tests.support.postgres import PostgresServer
from tests.sweeper.service import statuses
from tests.sweeper.side_by_side import SWEEPS, Ground, Play, scenario

HOUR = 3600


@scenario
async def postgresql_is_restarted(ground: Ground) -> None:
    place = ground.place()
    async with (
        PostgresServer(place / "p") as server,
        Play(ground.engine, await server.create_migrated_database(), place) as play,
    ):
        workspaces = await play.fleet(3)
        async with play.sweeper() as sweeper:
            await play.all_is_well(sweeper)
            for end in (server.stop, server.kill):
                here = sweeper.position
                await end()
                await sweeper.event("database.unreachable", after=here)
                await asyncio.sleep(SWEEPS)
                await server.start()
                await sweeper.event("database.recovered", after=here)
                await sweeper.sweeps(SWEEPS)
                assert await play.transitions() == []
            await play.is_alive(sweeper, workspaces[0])
            assert not sweeper.events("sweep.failed")
        assert not await play.false_offlines()


@scenario
async def postgresql_takes_no_writes(ground: Ground) -> None:
    place = ground.place()
    async with (
        PostgresServer(place / "p") as server,
        Play(ground.engine, await server.create_migrated_database(), place) as play,
    ):
        dying, *others = await play.fleet(3)
        async with play.sweeper() as sweeper:
            await play.all_is_well(sweeper)
            here = sweeper.position
            await server.set_read_only(True)
            line = await sweeper.event("database.unreachable", after=here)
            assert "read-only" in line["detail"]
            await play.containers[dying].kill()
            await asyncio.sleep(SWEEPS)
            assert await play.all_online()
            assert len(sweeper.events("database.unreachable")) == 1
            await server.set_read_only(False)
            await sweeper.event("database.recovered", after=here)
            await play.becomes(dying, "offline", timeout=10)
            await sweeper.sweeps(SWEEPS)
            assert not sweeper.events("sweep.failed")
            await play.is_alive(sweeper, others[0])
        assert not await play.false_offlines()


@scenario
async def the_sweeper_is_killed_and_started(ground: Ground) -> None:
    async with Play(ground.engine, await ground.database(), ground.place()) as play:
        dying, *others = await play.fleet(3)
        for number in range(SWEEPS):
            async with play.sweeper(OFFLINE_GRACE="0.5") as sweeper:
                await sweeper.event("sweep.completed")
                if number == SWEEPS - 1:
                    await play.containers[dying].kill()
                await asyncio.sleep(random.uniform(0, 1.5))
                sweeper.send_signal(signal.SIGKILL)
                assert await sweeper.wait(timeout=5) == -signal.SIGKILL
        async with play.sweeper() as sweeper:
            await play.becomes(dying, "offline", timeout=20)
            await sweeper.sweeps(SWEEPS)
            now = await statuses(play.url)
            assert {now[workspace] for workspace in others} == {"online"}
            await play.is_alive(sweeper, others[0])
        assert not await play.false_offlines()


@scenario
async def the_sweepers_clock_is_wrong_and_jumps(ground: Ground) -> None:
    place = ground.place()
    with FakeClock(place) as clock:
        async with Play(ground.engine, await ground.database(), place) as play:
            workspaces = await play.fleet(3)
            clock.jump(HOUR)
            async with play.sweeper(**clock.environment) as sweeper:
                for seconds in (HOUR, -HOUR, 0, 24 * HOUR):
                    clock.jump(seconds)
                    await sweeper.sweeps(SWEEPS)
                    assert await play.transitions() == []
                here = sweeper.position
                await play.is_alive(sweeper, workspaces[0])
                marked = sweeper.events("workspace.marked_offline", after=here)
                assert str(marked[0]["ts"]) > marked[0].received_at.isoformat()  # it really was wrong
            assert not await play.false_offlines()


@scenario
async def postgresqls_clock_is_wrong_and_jumps(ground: Ground) -> None:
    place = ground.place()
    with FakeClock(place) as clock:
        clock.jump(HOUR)
        async with (
            PostgresServer(place / "p", environment=clock.environment) as server,
            Play(ground.engine, await server.create_migrated_database(), place) as play,
            HistoryWatch(play.url) as history,
        ):
            workspaces = await play.fleet(3)
            async with play.sweeper() as sweeper:
                for seconds in (HOUR, -HOUR, 0, 24 * HOUR):
                    clock.jump(seconds)
                    await sweeper.sweeps(SWEEPS)
                    assert await play.transitions() == []
                await play.is_alive(sweeper, workspaces[0])
                assert not sweeper.events("database.unreachable")
        assert len(history.transitions) == len(workspaces) + 2
        assert not false_offlines(play.proxy.requests, history.transitions)
