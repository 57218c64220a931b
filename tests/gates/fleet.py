"""A few workspaces in a database, and the sweeper itself, without its process, to look after them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from shared.database import Database
from shared.engine import Engine
from shared.settings import Settings
from sweeper.store import SweepStore
from sweeper.sweep import Report, Sweeper
from tests.support.postgres import connected
from tests.support.rows import add_row

SweepOnce = Callable[[], Awaitable[Report]]


async def add(url: str, *, status: str, runtime: str = "langgraph") -> UUID:
    """A new workspace; an offline one is healed by its container."""
    async with connected(url) as connection:
        return UUID(await add_row(connection, status, runtime=runtime, told=(None, "created")))


async def status(url: str, workspace_id: UUID) -> str:
    async with connected(url) as connection:
        found = await connection.fetchval(
            "SELECT status::text FROM public.workspaces WHERE id = $1", workspace_id
        )
    return str(found)


async def history(url: str, workspace_id: UUID) -> list[tuple[str, str]]:
    """What was written after the workspace was made: pairs of status and reason."""
    async with connected(url) as connection:
        rows = await connection.fetch(
            "SELECT to_status, reason FROM healthsweep.history "
            "WHERE workspace_id = $1 AND from_status IS NOT NULL ORDER BY id",
            workspace_id,
        )
    return [(row["to_status"], row["reason"]) for row in rows]


@asynccontextmanager
async def sweeping(url: str, host: str, **settings: Any) -> AsyncIterator[SweepOnce]:
    """What sweeps once, with all graces that it starts, which last no time unless `settings` say so."""
    chosen = Settings(**{"offline_grace": 0.0, "online_grace": 0.0, "engine_timeout": 2.0, **settings})
    async with (
        Database(url, application="gates") as database,
        Engine(host, timeout=chosen.engine_timeout) as engine,
    ):
        store = SweepStore(database, unswept_runtimes=chosen.unswept_runtimes)
        sweeper = Sweeper(engine=engine, store=store, settings=chosen)

        async def once() -> Report:
            await sweeper.sweep()
            while (due := sweeper.next_due()) is not None:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await sweeper.settle()
            return sweeper.complete()

        yield once
