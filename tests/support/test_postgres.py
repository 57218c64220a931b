"""PostgreSQL: a fresh database for each test, and a server to harm."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from shared.database import migrate
from tests.support.clock import FakeClock
from tests.support.postgres import PostgresServer, connected


@pytest.mark.parametrize("_turn", ["first", "second"])
async def test_every_test_has_a_fresh_database(database_url: str, _turn: str) -> None:
    async with connected(database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM public.workspaces") == 0
        assert await migrate(connection) == {}
        await connection.execute("INSERT INTO public.workspaces (name) VALUES ('left behind')")


async def test_a_platform_database_can_be_migrated(platform_database_url: str) -> None:
    async with connected(platform_database_url) as connection:
        assert await connection.fetchval("SELECT to_regclass('healthsweep.history') IS NULL")
        assert await migrate(connection)
        await connection.execute(
            "INSERT INTO public.workspaces (name, instance_id, status) VALUES ('w', 'i-1', 'online')"
        )
        assert await connection.fetchval("SELECT count(*) FROM public.org_plugin_allowlist") == 0
        assert await connection.fetchval("SELECT version FROM public.schema_migrations") == 42


async def test_a_server_of_ones_own_can_be_harmed(private_postgres: PostgresServer) -> None:
    url = await private_postgres.create_migrated_database()
    async with connected(url) as connection:
        await private_postgres.set_read_only(True)
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute("DELETE FROM public.workspaces")
        await private_postgres.set_read_only(False)
        await connection.execute("DELETE FROM public.workspaces")
        private_postgres.pause()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(connection.fetchval("SELECT 1")), 0.3)
        private_postgres.resume()
    for harm in (private_postgres.kill, private_postgres.stop):
        await harm()
        with pytest.raises(OSError, match=r"refused|No such file"):
            await asyncpg.connect(url, timeout=1)
        await private_postgres.start()
    async with connected(url) as connection:
        assert await migrate(connection) == {}


async def test_its_clock_can_jump(short_directory: Path, fake_clock: FakeClock) -> None:
    server = PostgresServer(short_directory / "postgres", environment=fake_clock.environment)
    async with server, connected(server.url) as connection:
        for ahead in (0.0, 3600.0, -3600.0):
            fake_clock.jump(ahead)
            now: datetime = await connection.fetchval("SELECT clock_timestamp()")
            assert abs((now - datetime.now(UTC)).total_seconds() - ahead) < 60
