"""The sweeper as a process of its own, on a database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID

from shared.ids import container_name
from tests.support.daemon import FakeDaemon, State
from tests.support.postgres import connected
from tests.support.processes import ServiceProcess
from tests.support.rows import add_row

QUICK = {
    "SWEEP_INTERVAL": "1",
    "OFFLINE_GRACE": "0.1",
    "ONLINE_GRACE": "0.1",
    "ENGINE_TIMEOUT": "3",
}


def quick_sweeper(url: str, host: str, **environment: str) -> ServiceProcess:
    """`python -m sweeper` on that database and that engine, in a hurry but for what `environment` says."""
    return ServiceProcess("sweeper", {**QUICK, "DATABASE_URL": url, "DOCKER_HOST": host, **environment})


async def add_workspace(url: str, *, status: str = "online", reason: str = "running") -> UUID:
    """A row with its history row, as the product would have written them."""
    async with connected(url) as connection, connection.transaction():
        return UUID(await add_row(connection, status, runtime="langgraph", told=(None, reason)))


async def add_with_container(url: str, daemon: FakeDaemon, state: State) -> UUID:
    """A row that is online, and its container on a fake daemon."""
    workspace = await add_workspace(url)
    daemon.containers[container_name(workspace)] = state
    return workspace


async def statuses(url: str) -> dict[UUID, str]:
    """Of every workspace."""
    async with connected(url) as connection:
        rows = await connection.fetch("SELECT id, status::text FROM public.workspaces")
    return {UUID(str(row["id"])): row["status"] for row in rows}


async def eventually(is_so: Callable[[], Awaitable[object]], *, timeout: float = 20) -> None:
    """Wait until it is. Raises TimeoutError."""
    async with asyncio.timeout(timeout):
        while not await is_so():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def hanging_write(url: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Inside, a sweeper has begun to write and waits for a lock; call what is given to let it go on."""
    async with connected(url) as locking, connected(url) as looking:
        transaction = locking.transaction()
        await transaction.start()
        await locking.execute("LOCK TABLE healthsweep.history IN SHARE MODE")  # it is still read
        await eventually(lambda: looking.fetchval(_WAITS_FOR_A_LOCK))
        yield transaction.commit


_WAITS_FOR_A_LOCK = """
SELECT true FROM pg_stat_activity
WHERE application_name = 'healthsweep-sweeper' AND datname = current_database() AND wait_event_type = 'Lock'
"""
