"""The history that was written, as the judge wants it.

assert not false_offlines(proxy.requests, await read_history(database_url))

async with HistoryWatch(database_url) as history:          where the database's clock is a FakeClock's
    ...
assert not false_offlines(proxy.requests, history.transitions)
"""

import asyncio
import contextlib
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import asyncpg

from tests.support.judge import Transition
from tests.support.postgres import connected

_ROWS = """
SELECT id, workspace_id, from_status, to_status, at FROM healthsweep.history WHERE id > $1 ORDER BY id
"""
_PAUSE = 0.02


async def read_history(url: str) -> list[Transition]:
    """Every row, with the database's own times."""
    async with connected(url) as connection:
        return [_transition(row, row["at"]) for row in await connection.fetch(_ROWS, 0)]


class HistoryWatch:
    """The rows that are written from entering to leaving, each with the time, of the clock that stamps the
    wire, at which it was seen: a moment after it was committed, or when the database was back.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._last = 0
        self.transitions: list[Transition] = []

    async def __aenter__(self) -> Self:
        async with connected(self._url) as connection:
            self._last = await connection.fetchval("SELECT coalesce(max(id), 0) FROM healthsweep.history")
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        async with connected(self._url) as connection:
            await self._read(connection)

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                async with connected(self._url) as connection:
                    while True:
                        await self._read(connection)
                        await asyncio.sleep(_PAUSE)
            await asyncio.sleep(_PAUSE)

    async def _read(self, connection: asyncpg.Connection) -> None:
        for row in await connection.fetch(_ROWS, self._last, timeout=5):
            self._last = row["id"]
            self.transitions.append(_transition(row, datetime.now(UTC)))


def _transition(row: asyncpg.Record, at: datetime) -> Transition:
    return Transition(row["workspace_id"], row["from_status"], row["to_status"], at)
