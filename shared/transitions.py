"""How a status that was read is changed: compare-and-set, with its history row, in one statement.

The row changes, its history says so and `pg_notify('healthsweep', ...)` tells listeners, or none of the
three happens. Heartbeats alone write statuses by themselves, on rows that they lock (heartbeat_sql.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args
from uuid import UUID

from shared.database import Connection
from shared.running import Reason

CONTAINER_REASONS: frozenset[str] = frozenset(get_args(Reason))
"""Reasons of an offline that a running container heals."""

STATUSES = (
    "provisioning",
    "online",
    "degraded",
    "offline",
    "failed",
    "paused",
    "hibernated",
    "hibernating",
    "awaiting_agent",
    "removed",
)
"""Every status that a workspace can have; the last but one and two are known to newer platforms only."""

WRITABLE = ("online", "offline", "paused", "removed")
"""What is written by comparing; `degraded` is a heartbeat's, and the others are other programs'."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One intended change. `version` is the row's xmin when it was read: any write since then wins."""

    workspace_id: UUID
    seen: str
    version: str
    reason: str
    exit_code: int | None = None


async def write_transitions(
    connection: Connection,
    to: str,
    transitions: Iterable[Transition],
    *,
    detected_by: str,
    cause_id: str | None,
) -> set[UUID]:
    """Set `to` on every row that is still as it was read; the ids of those that changed.

    Rows that another transaction holds at this moment count as changed meanwhile: it is writing them.
    """
    if to not in WRITABLE:
        raise ValueError(f"nobody writes the status {to!r}")
    wanted = list(transitions)
    rows = await connection.fetch(
        _WRITE.format(to=to, notify=NOTIFY),
        [transition.workspace_id for transition in wanted],
        [transition.seen for transition in wanted],
        [transition.version for transition in wanted],
        [transition.reason for transition in wanted],
        [transition.exit_code for transition in wanted],
        detected_by,
        cause_id,
    )
    return {row["id"] for row in rows}


NOTIFY = """pg_notify('healthsweep', json_build_object(
    'workspace_id', id, 'from', seen, 'to', target, 'reason', reason
)::text)"""
"""SQL that tells listeners of a transition: a row with the columns id, seen, target and reason."""

# The target is a literal, one of WRITABLE, because a parameter would not fit an enum column. Rows are
# locked in id order, so that a batch of heartbeats and a sweep cannot deadlock.
_WRITE = """
WITH wanted AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::integer[])
        AS wanted (id, seen, version, reason, exit_code)
), unchanged AS (
    SELECT workspace.id FROM public.workspaces AS workspace JOIN wanted USING (id)
    WHERE workspace.status::text = wanted.seen AND workspace.xmin::text = wanted.version
    ORDER BY workspace.id FOR UPDATE OF workspace SKIP LOCKED
), changed AS (
    UPDATE public.workspaces AS workspace SET status = '{to}', updated_at = now()
    FROM wanted JOIN unchanged USING (id)
    WHERE workspace.id = wanted.id AND workspace.status::text = wanted.seen
    RETURNING workspace.id, wanted.seen, '{to}'::text AS target, wanted.reason, wanted.exit_code
), history AS (
    INSERT INTO healthsweep.history
        (workspace_id, from_status, to_status, reason, exit_code, detected_by, cause_id)
    SELECT id, seen, target, reason, exit_code, $6::text, $7::text FROM changed
)
SELECT id, {notify} FROM changed
"""
