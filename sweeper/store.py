"""What the sweeper reads of the database and writes to it: one SELECT, and one UPDATE per target status."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared import systemd
from shared.database import ROW_REFUSED, Connection, Database
from shared.presence import PRESENCE_STALE_S
from shared.transitions import Transition, write_transitions


@dataclass(frozen=True, slots=True)
class Workspace:
    """One row that a sweep may have to judge.

    `version` is the row's xmin, which every write changes. `offline_reason` is why we wrote this offline,
    None if it was not us. `silent_s` is for how long its agent could have been heard and was not, on the
    database's clock. `deaf`: nobody listens for heartbeats at present.
    """

    id: UUID
    name: str | None
    status: str
    version: str
    runtime: str
    short_name_is_unique: bool
    offline_reason: str | None
    silent_s: float
    deaf: bool


@dataclass(frozen=True, slots=True)
class Fleet:
    """The rows, and the database's time when it was asked."""

    workspaces: list[Workspace]
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Marked:
    """Who was still as it had been read, and was `changed`; whose row the database `refused` to write."""

    changed: set[UUID]
    refused: set[UUID]


class SweepStore:
    """The sweeper's side of the database. Every method raises DatabaseUnavailable."""

    def __init__(self, database: Database, *, unswept_runtimes: Iterable[str]) -> None:
        self._database = database
        self._unswept_runtimes = list(unswept_runtimes)

    async def fleet(
        self, *, outage_ended: datetime | None = None, ids: Iterable[UUID] | None = None
    ) -> Fleet:
        """Every row whose status a sweep may change, or those of them in `ids`.

        Silence counts from `outage_ended` at the earliest: before it no heartbeat could be written.
        """
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                _FLEET,
                self._unswept_runtimes,
                outage_ended,
                None if ids is None else list(ids),
                PRESENCE_STALE_S,
            )
        systemd.alive()
        if rows[0]["read_only"]:
            raise await self._database.read_only()
        return Fleet(
            workspaces=[
                Workspace(**{name: row[name] for name in Workspace.__slots__})
                for row in rows
                if row["id"] is not None
            ],
            asked_at=rows[0]["asked_at"],
        )

    async def mark(self, to: str, transitions: list[Transition], *, sweep_id: str) -> Marked:
        """Write the transitions to `to`, all in one statement.

        Where the database refuses that, it is halved until only those are left out that are to blame.
        """
        async with self._database.connection() as connection:
            return await _halving(connection, to, transitions, sweep_id)

    async def prune_history(self, *, older_than_s: float, most: int) -> int:
        """Drop up to `most` old transitions, never a workspace's newest: it says who may heal it."""
        async with self._database.connection() as connection:
            return len(await connection.fetch(_PRUNE, older_than_s, most))


async def _halving(connection: Connection, to: str, transitions: list[Transition], sweep_id: str) -> Marked:
    try:
        changed = await write_transitions(connection, to, transitions, detected_by="sweep", cause_id=sweep_id)
    except ROW_REFUSED:
        if len(transitions) == 1:
            return Marked(set(), {transitions[0].workspace_id})
        middle = len(transitions) // 2
        halves = [
            await _halving(connection, to, half, sweep_id)
            for half in (transitions[:middle], transitions[middle:])
        ]
        return Marked(halves[0].changed | halves[1].changed, halves[0].refused | halves[1].refused)
    finally:
        systemd.alive()
    return Marked(changed, set())


# The head is always there, also for an empty fleet.
#
# `instance_id` exists on platform databases only. Inside the subquery its name finds the table's column
# where there is one, and otherwise the NULL of platform_only, so that one statement serves both.
#
# Epochs are subtracted, not timestamps: PostgreSQL before 17 refuses to subtract an infinite one, and one
# odd row must not stop the others.
_FLEET = """
WITH head AS (
    SELECT
        now() AS asked_at,
        current_setting('transaction_read_only')::boolean AS read_only,
        api.heard_since,
        coalesce(api.seen_at < now() - make_interval(secs => $4), false) AS deaf
    FROM (SELECT) AS always LEFT JOIN healthsweep.presence AS api ON true
)
SELECT head.asked_at, head.read_only, head.deaf, fleet.*
FROM head LEFT JOIN LATERAL (
    SELECT
        workspace.id,
        workspace.name,
        workspace.status,
        workspace.version,
        workspace.runtime,
        left(workspace.id::text, 12) NOT IN (
            SELECT left(id::text, 12) FROM public.workspaces GROUP BY 1 HAVING count(*) > 1
        ) AS short_name_is_unique,
        CASE WHEN newest.to_status = 'offline' THEN newest.reason END AS offline_reason,
        CASE WHEN isfinite(workspace.heard_at) IS NOT false
            THEN (extract(epoch FROM now()) - extract(epoch FROM greatest(
                workspace.heard_at, head.heard_since, $2::timestamptz, pg_postmaster_start_time()
            )))::float8
            ELSE 'infinity'
        END AS silent_s
    FROM (VALUES (NULL)) AS platform_only (instance_id)
    CROSS JOIN LATERAL (
        SELECT
            id,
            name,
            status::text AS status,
            workspaces.xmin::text AS version,
            coalesce(nullif(runtime, ''), 'langgraph') AS runtime,
            coalesce(last_heartbeat_at, created_at) AS heard_at
        FROM public.workspaces
        WHERE status::text IN ('online', 'degraded', 'offline')
            AND instance_id IS NULL
            AND ($3::uuid[] IS NULL OR id = ANY ($3))
    ) AS workspace
    LEFT JOIN LATERAL (
        SELECT to_status, reason FROM healthsweep.history
        WHERE workspace_id = workspace.id AND workspace.status = 'offline'
        ORDER BY history.id DESC LIMIT 1
    ) AS newest ON true
    WHERE NOT workspace.runtime = ANY ($1::text[])
) AS fleet ON true
"""

_PRUNE = """
DELETE FROM healthsweep.history WHERE id IN (
    SELECT old.id FROM healthsweep.history AS old
    WHERE old.at < now() - make_interval(secs => $1) AND EXISTS (
        SELECT FROM healthsweep.history AS newer
        WHERE newer.workspace_id = old.workspace_id AND newer.id > old.id
    )
    LIMIT $2
) RETURNING 1
"""
