"""The manager's watchdog: fed by what the sweeper gets done, whatever Docker and PostgreSQL do."""

import asyncio
from pathlib import Path

import pytest

from shared.engine import Engine
from sweeper.daemon import Daemon
from sweeper.sweep import Report, Sweeper
from tests.support.daemon import FakeDaemon, State
from tests.support.manager import Manager
from tests.support.postgres import PostgresServer
from tests.support.wire import Hang
from tests.sweeper.scene import Scene
from tests.sweeper.service import add_with_container, quick_sweeper


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(
    ("hanging", "engine_timeout"),
    [("/containers/json", "1.5"), ("/containers/ws-*/json", "4")],
    ids=["a question of its own", "many questions"],
)
async def test_a_docker_that_hangs_is_no_reason_to_be_ended(
    hanging: str,
    engine_timeout: str,
    database_url: str,
    fake_daemon: FakeDaemon,
    short_directory: Path,
) -> None:
    await add_with_container(database_url, fake_daemon, State("exited"))
    fake_daemon.answer(hanging, Hang())
    with Manager(short_directory / "notify") as manager:
        environment = {"ENGINE_TIMEOUT": engine_timeout, **manager.watching(2.5)}
        async with quick_sweeper(database_url, fake_daemon.host, **environment) as sweeper:
            assert await manager.told() == "READY=1"
            await sweeper.sweeps(2)
            assert manager.longest_silence() < 2.5
            said = await manager.status("swept 1 workspaces in ")
    assert said.endswith(" ms: 0 running, 0 not running, 1 unknown")


@pytest.mark.usefixtures("processes")
async def test_a_long_interval_is_no_reason_to_be_ended(
    database_url: str, fake_daemon: FakeDaemon, short_directory: Path
) -> None:
    with Manager(short_directory / "notify") as manager:
        environment = {"SWEEP_INTERVAL": "60", **manager.watching(1)}
        async with quick_sweeper(database_url, fake_daemon.host, **environment):
            assert await manager.told() == "READY=1"
            await manager.status("swept 0 workspaces")
            await asyncio.sleep(3)
            assert manager.longest_silence() < 1


@pytest.mark.long
@pytest.mark.usefixtures("processes")
async def test_a_postgresql_that_hangs_is_no_reason_to_be_ended(
    private_postgres: PostgresServer, fake_daemon: FakeDaemon, short_directory: Path
) -> None:
    url = await private_postgres.create_migrated_database()
    with Manager(short_directory / "notify") as manager:
        async with quick_sweeper(url, fake_daemon.host, **manager.watching(90)) as sweeper:
            assert await manager.told() == "READY=1"
            await sweeper.sweeps(1)
            private_postgres.pause()
            await asyncio.sleep(75)
            private_postgres.resume()
            await sweeper.event("database.recovered")
            assert manager.longest_silence() < 45  # half of WatchdogSec in the unit


async def test_a_sweep_that_never_ends_is_not_fed(
    scene: Scene, short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def hang(_: Sweeper, **_options: bool) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Sweeper, "sweep", hang)
    with Manager(short_directory / "notify") as manager:
        for variable, value in manager.watching(0.4).items():
            monkeypatch.setenv(variable, value)
        async with Engine(scene.settings.docker_host, timeout=1) as engine:
            daemon = Daemon(engine=engine, database=scene.database, settings=scene.settings)
            running = asyncio.create_task(daemon.run())
            await begun.wait()
            await asyncio.sleep(1)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert manager.fed_at == []


def test_a_sweep_in_words() -> None:
    report = Report(duration_ms=23.4, checked=41, running=38, not_running=2, unknown=1)
    assert report.in_words() == "swept 41 workspaces in 23 ms: 38 running, 2 not running, 1 unknown"
    report.checked, report.held = 44, 7
    assert report.in_words().endswith("1 unknown, 3 external, 7 held")
