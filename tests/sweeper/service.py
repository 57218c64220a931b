"""The sweeper as a process of its own, on a database, with the service manager that it speaks to."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
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


class Manager:
    """The manager's side of sd_notify(3): whatever is sent to NOTIFY_SOCKET, which is `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def __enter__(self) -> Self:
        self._socket.bind(str(self.path))
        self._socket.setblocking(False)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    async def told(self) -> str:
        """The next message. Raises TimeoutError."""
        async with asyncio.timeout(20):
            return (await asyncio.get_running_loop().sock_recv(self._socket, 4096)).decode()

    def silent(self) -> bool:
        """Whether nothing was said that has not been asked for."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        return False


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
