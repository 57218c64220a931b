"""Writes heartbeats, many in one statement: who may, what they tell, and what that makes of the status.

The statement locks the rows that it writes in id order and leaves out those that somebody else holds, so
it waits for nobody and no row holds up the others. A sweep does the same: the two cannot deadlock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from api.errors import InvalidBody
from api.store.heartbeat_sql import WRITE, WRITE_WITH_SPEND
from api.store.verdicts import Asked, Judgement
from shared.database import ROW_REFUSED, Connection, Database
from shared.transitions import CONTAINER_REASONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What a heartbeat tells of the agent."""

    error_rate: float
    sample_error: str
    active_tasks: int
    uptime_seconds: int
    current_task: str
    wedged: bool
    monthly_spend: int


@dataclass(frozen=True, slots=True)
class Beat:
    """One heartbeat. `vitals` None: the agent was heard, and told nothing about itself (a register)."""

    asked: Asked
    vitals: Vitals | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Transition:
    """A status that a heartbeat changed."""

    workspace_id: UUID
    previous: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a beat that was admitted, or why it was not.

    `written` is False for a beat that was not admitted, and for one whose row somebody else holds.
    """

    judgement: Judgement
    written: bool
    transition: Transition | None


class HeartbeatStore:
    """Writes heartbeats. `unswept_runtimes` are those whose status nobody writes."""

    def __init__(self, database: Database, *, unswept_runtimes: Iterable[str]) -> None:
        self._database = database
        self._unswept_runtimes = list(unswept_runtimes)

    async def write(self, beats: Sequence[Beat]) -> list[Receipt | InvalidBody]:
        """A receipt for each beat, in their order; of several for one workspace the last one counts.

        A batch that the database refuses is halved until only those get an error whose values it refuses.
        Raises DatabaseUnavailable for all of them.
        """
        async with self._database.connection() as connection:
            return await self._halving(connection, beats)

    async def _halving(self, connection: Connection, beats: Sequence[Beat]) -> list[Receipt | InvalidBody]:
        try:
            return list(await self.write_on(connection, beats))
        except ROW_REFUSED as exc:
            if len(beats) == 1:
                refused = InvalidBody(detail="the database does not take these values")
                refused.__cause__ = exc
                return [refused]
        middle = len(beats) // 2
        earlier = await self._halving(connection, beats[:middle])
        return earlier + await self._halving(connection, beats[middle:])

    async def write_on(self, connection: Connection, beats: Sequence[Beat]) -> list[Receipt]:
        """Like `write`, in the caller's transaction, if it has one, and all or nothing."""
        vitals = [beat.vitals for beat in beats]
        spends = any(told and told.monthly_spend for told in vitals)
        keeps_spend = spends and await connection.fetchval(_KEEPS_SPEND)
        rows = await connection.fetch(
            WRITE_WITH_SPEND if keeps_spend else WRITE,
            [beat.asked.workspace_id for beat in beats],
            [beat.asked.digest for beat in beats],
            [beat.asked.is_admin for beat in beats],
            [told and told.error_rate for told in vitals],
            [told and told.sample_error for told in vitals],
            [told and told.active_tasks for told in vitals],
            [told and told.uptime_seconds for told in vitals],
            [told and told.current_task for told in vitals],
            [told and told.wedged for told in vitals],
            [told and told.monthly_spend for told in vitals],
            [beat.request_id for beat in beats],
            self._unswept_runtimes,
            _CONTAINER_REASONS,
        )
        return [_receipt(row) for row in rows]


def _receipt(row: asyncpg.Record) -> Receipt:
    transition = None
    if row["target"] is not None:
        transition = Transition(row["id"], row["seen"], row["target"], row["reason"])
    return Receipt(Judgement(row["verdict"], row["token_id"]), row["written"], transition)


_CONTAINER_REASONS = sorted(CONTAINER_REASONS)

_KEEPS_SPEND = """
SELECT EXISTS (
    SELECT FROM pg_attribute
    WHERE attrelid = 'public.workspaces'::regclass AND attname = 'monthly_spend' AND NOT attisdropped
)
"""
