"""`python -m sweeper` and a database that is away, too old, too new or broken."""

import asyncio
import signal
from pathlib import Path

import pytest

from shared.database import migrate
from shared.engine import Engine
from shared.errors import DatabaseUnavailable
from sweeper.daemon import Daemon
from tests.support.daemon import FakeDaemon, State
from tests.support.manager import Manager
from tests.support.postgres import PostgresServer, connected
from tests.sweeper.scene import Scene
from tests.sweeper.service import add_with_container, quick_sweeper, statuses

pytestmark = pytest.mark.usefixtures("processes")

DEAD = State("exited", exit_code=137)


async def test_it_waits_for_a_database_that_is_away(
    private_postgres: PostgresServer, fake_daemon: FakeDaemon, short_directory: Path
) -> None:
    url = await private_postgres.create_migrated_database()
    workspace = await add_with_container(url, fake_daemon, DEAD)
    await private_postgres.stop()
    with Manager(short_directory / "notify.sock") as manager:
        async with quick_sweeper(url, fake_daemon.host, NOTIFY_SOCKET=str(manager.path)) as sweeper:
            line = await sweeper.event("database.unreachable")
            assert (line["level"], line["failures"]) == ("warning", 1)
            await asyncio.sleep(2.5)  # it has tried again
            assert await manager.status("waiting") == "waiting for the database"
            assert manager.silent()
            assert len(sweeper.lines) == 2
            await private_postgres.start()
            assert await manager.told() == "READY=1"
            line = await sweeper.event("database.recovered")
            assert (line["level"], line["failures"] >= 2, line["down_s"] > 2) == ("info", True, True)
            await sweeper.event("workspace.marked_offline", workspace_id=str(workspace))

            await private_postgres.kill()  # and it goes on as well when this comes later
            await sweeper.event("database.unreachable", after=sweeper.lines.index(line))
            await private_postgres.start()
            await sweeper.event("database.recovered", after=sweeper.lines.index(line) + 1)
            await sweeper.sweeps(2)
    assert len(sweeper.events("database.unreachable")) == len(sweeper.events("database.recovered")) == 2
    assert not sweeper.events("sweep.failed")
    assert sweeper.noise == []


async def test_it_leaves_while_the_database_is_away(fake_daemon: FakeDaemon) -> None:
    async with quick_sweeper("postgresql:///x?host=/nonexistent", fake_daemon.host) as sweeper:
        await sweeper.event("database.unreachable")
        sweeper.send_signal(signal.SIGTERM)
        assert await sweeper.wait(timeout=2) == 0


async def test_it_leaves_while_the_database_hangs(
    private_postgres: PostgresServer, fake_daemon: FakeDaemon
) -> None:
    url = await private_postgres.create_migrated_database()
    async with quick_sweeper(url, fake_daemon.host) as sweeper:
        await sweeper.sweeps(1)
        private_postgres.pause()
        await asyncio.sleep(1.5)  # it waits for the answer to its SELECT
        sweeper.send_signal(signal.SIGTERM)
        assert await sweeper.wait(timeout=3) == 0
        private_postgres.resume()
    assert sweeper.noise == []


async def test_it_waits_for_the_migration(
    postgres: PostgresServer, fake_daemon: FakeDaemon, short_directory: Path
) -> None:
    url = await postgres.create_database()
    with Manager(short_directory / "notify.sock") as manager:
        async with quick_sweeper(url, fake_daemon.host, NOTIFY_SOCKET=str(manager.path)) as sweeper:
            line = await sweeper.event("schema.outdated")
            assert line["level"] == "warning"
            assert "healthsweep migrate" in line["problem"]
            assert await manager.status("waiting") == "waiting for `healthsweep migrate`"
            await asyncio.sleep(2.5)
            assert manager.silent()
            async with connected(url) as connection:
                await migrate(connection)
            assert await manager.told() == "READY=1"
            await sweeper.sweeps(1)
    assert len(sweeper.events("schema.outdated")) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO healthsweep.migrations (name, checksum) VALUES ('9999_future', 'f')",
        "UPDATE healthsweep.migrations SET checksum = 'f' WHERE name LIKE '0001%'",
    ],
    ids=["newer", "changed"],
)
async def test_it_refuses_a_schema_that_is_not_its_own(
    database_url: str, fake_daemon: FakeDaemon, statement: str
) -> None:
    async with connected(database_url) as connection:
        await connection.execute(statement)
    async with quick_sweeper(database_url, fake_daemon.host) as sweeper:
        assert await sweeper.wait(timeout=20) == 78
    (line,) = [line for line in sweeper.lines if line["level"] != "info"]
    assert (line["event"], line["level"]) == ("schema.refused", "critical")
    assert ("9999_future" if "9999" in statement else "0001") in line["problem"]
    assert sweeper.noise == []


async def test_a_sweep_that_fails_ends_nothing(database_url: str, fake_daemon: FakeDaemon) -> None:
    workspace = await add_with_container(database_url, fake_daemon, DEAD)
    async with connected(database_url) as connection:
        await connection.execute("ALTER TABLE healthsweep.history RENAME COLUMN reason TO why")
        async with quick_sweeper(database_url, fake_daemon.host) as sweeper:
            line = await sweeper.event("sweep.failed")
            await sweeper.event("sweep.failed", after=sweeper.position)
            assert not sweeper.events("sweep.completed")
            await connection.execute("ALTER TABLE healthsweep.history RENAME COLUMN why TO reason")
            await sweeper.event("workspace.marked_offline", workspace_id=str(workspace))
            await sweeper.event("sweep.completed")
    assert line["level"] == "error"
    assert line["exception"][0]["exc_type"] == "UndefinedColumnError"
    assert line["sweep_id"]
    assert not sweeper.events("database.unreachable")
    assert sweeper.noise == []
    assert await statuses(database_url) == {workspace: "offline"}


async def test_only_a_whole_sweep_ends_the_time_in_which_nobody_could_be_heard(scene: Scene) -> None:
    """The first success after an outage may be another one: the end of a grace, or pruning."""
    await scene.server_is_up_for(6.2)  # no silence is counted from before the server's start
    scene.restart(SWEEP_INTERVAL="60", REMOTE_LIVENESS_STALE_AFTER="6")
    remote = await scene.add(runtime="external")
    await scene.write(remote, last_heartbeat_at="now() - interval '1 hour'")
    async with Engine(scene.daemon.host, timeout=1) as engine:
        daemon = Daemon(engine=engine, database=scene.database, settings=scene.settings)
        daemon._database_failed(DatabaseUnavailable("it is read-only"))
        assert await daemon._round(daemon._prune())
        running = asyncio.create_task(daemon.run())
        async with asyncio.timeout(20):
            while not scene.events("sweep.completed"):
                await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert await scene.status(remote) == "online"
    assert (await scene.sweep()).marked_offline == 1, "a sweeper that saw no outage marks it"


async def test_a_pruning_that_fails_ends_nothing(scene: Scene) -> None:
    scene.restart(SWEEP_INTERVAL="1")
    async with Engine(scene.daemon.host, timeout=1) as engine:
        daemon = Daemon(engine=engine, database=scene.database, settings=scene.settings)
        daemon._prune_at = 0  # a minute is long
        await scene.connection.execute("ALTER TABLE healthsweep.history RENAME COLUMN at TO moment")
        running = asyncio.create_task(daemon.run())
        try:
            await asyncio.sleep(1.5)
        finally:
            await scene.connection.execute("ALTER TABLE healthsweep.history RENAME COLUMN moment TO at")
            running.cancel()
            (ended,) = await asyncio.gather(running, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError)
    assert len(scene.events("sweep.failed")) == 1
    assert len(scene.events("sweep.completed")) >= 2
