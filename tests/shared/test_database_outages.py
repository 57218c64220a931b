"""PostgreSQL restarts, stops, turns read-only: the pool says so in time, and is well again by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from shared.database import Database
from shared.errors import DatabaseUnavailable
from tests.shared.pools import opened, unavailable, works
from tests.support.postgres import PostgresServer, connected

SLACK = 3.0
"""What a busy machine may take beyond a deadline, in seconds."""

# Restarts, of a server of our own


@pytest.fixture(scope="module")
async def module_postgres(processes: None, run_directory: Path) -> AsyncIterator[PostgresServer]:
    async with PostgresServer(run_directory / "database") as server:
        yield server


@pytest.fixture
async def server(module_postgres: PostgresServer) -> AsyncIterator[PostgresServer]:
    """To stop, to kill and to pause; at the end it runs again."""
    yield module_postgres
    module_postgres.resume()


async def use_while(database: Database, harm: Callable[[int], Awaitable[object]]) -> None:
    """Do `harm`, given the server's process, to a connection in use, and use it on."""
    async with database.connection() as connection:
        await harm(await connection.fetchval("SELECT pg_backend_pid()"))
        await connection.execute("SELECT 1")


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_restart_is_survived_by_the_pool(how: str, server: PostgresServer) -> None:
    async with opened(server.url) as database:
        async with database.connection(), database.connection():
            pass  # two idle connections
        with pytest.raises(DatabaseUnavailable):
            await use_while(database, lambda _: server.stop() if how == "stop" else server.kill())
        await unavailable(database)
        await server.start()
        for _ in range(5):
            assert await works(database)


async def test_a_connection_that_was_ended_is_replaced(database: Database, database_url: str) -> None:
    async with connected(database_url) as killer:
        for _ in range(30):  # how asyncpg finds out depends on the instant
            with pytest.raises(DatabaseUnavailable):
                await use_while(database, lambda pid: killer.execute(f"SELECT pg_terminate_backend({pid})"))
            assert await works(database)


# Read-only


async def test_read_only_is_told_and_passes_without_a_restart(server: PostgresServer) -> None:
    url = await server.create_migrated_database()
    write = "UPDATE public.workspaces SET name = name"
    async with opened(url, connections=1) as database:
        async with database.connection() as connection:
            before = await connection.fetchval("SELECT pg_backend_pid()")
        await server.set_read_only(True)
        assert await unavailable(database, write) == "it is read-only"
        assert await works(database)
        await server.set_read_only(False)
        async with database.connection() as connection:
            await connection.execute(write)
            assert await connection.fetchval("SELECT pg_backend_pid()") != before


async def test_whoever_finds_it_read_only_gets_new_connections_from_then_on(database: Database) -> None:
    async def pid() -> int:
        async with database.connection() as connection:
            return int(await connection.fetchval("SELECT pg_backend_pid()"))

    before = await pid()
    assert await pid() == before
    assert str(await database.read_only()) == "it is read-only"
    assert await pid() != before


# Deadlines


async def test_a_stopped_server_is_unavailable_within_the_deadlines(server: PostgresServer) -> None:
    async def ask(database: Database) -> float:
        began = time.monotonic()
        assert await unavailable(database) == "no answer in time"
        return time.monotonic() - began

    async def ask_on(database: Database, connected: asyncio.Event, stopped: asyncio.Event) -> float:
        async def harm(_: int) -> None:
            connected.set()
            await stopped.wait()

        with pytest.raises(DatabaseUnavailable):
            await use_while(database, harm)
        return time.monotonic() - began

    in_use, stopped = asyncio.Event(), asyncio.Event()
    async with opened(server.url) as database:
        asking_on = asyncio.create_task(ask_on(database, in_use, stopped))
        await in_use.wait()
        server.pause()
        began = time.monotonic()
        stopped.set()
        assert await ask(database) < 5 + SLACK  # for a new connection
        assert await asking_on < 11 + 5 + SLACK  # for a statement, and for letting go of its connection
        server.resume()
        assert await works(database)


async def test_a_cancellation_waits_for_no_server(server: PostgresServer) -> None:
    connected, stopped = asyncio.Event(), asyncio.Event()

    async def harm(_: int) -> None:
        connected.set()
        await stopped.wait()

    async with opened(server.url) as database:
        using = asyncio.create_task(use_while(database, harm))
        await connected.wait()
        server.pause()
        stopped.set()
        await asyncio.sleep(0.1)  # until the statement is sent
        using.cancel()
        async with asyncio.timeout(4):  # a connection is waited for for five
            await asyncio.wait([using])
        assert using.cancelled()
        server.resume()
        assert await works(database)


async def test_a_full_pool_is_waited_for_and_not_for_ever(database_url: str) -> None:
    async with opened(database_url, connections=1) as database, database.connection():
        began = time.monotonic()
        assert await unavailable(database) == "no answer in time"
        assert time.monotonic() - began < 5 + SLACK


async def test_a_slow_statement_and_a_held_lock_end(database: Database, database_url: str) -> None:
    async with connected(database_url) as holder, holder.transaction():
        await holder.execute("LOCK TABLE public.workspaces")
        await unavailable(database, "SET lock_timeout = 100; SELECT FROM public.workspaces")
    await unavailable(database, "SET statement_timeout = 100; SELECT pg_sleep(5)")
    async with database.connection() as connection:
        assert await connection.fetchval("SHOW statement_timeout") == "10s"


async def test_leaving_does_not_wait_for_a_server_that_is_gone(server: PostgresServer) -> None:
    async with opened(server.url) as database:
        assert await works(database)
        server.pause()
        began = time.monotonic()
    assert time.monotonic() - began < 4
    server.resume()
