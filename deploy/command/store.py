"""What the `healthsweep` command reads and writes."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from shared.database import Connection
from shared.errors import HealthsweepError
from shared.transitions import STATUSES, Transition, write_transitions


class Refused(HealthsweepError):
    """The operator asked for what cannot be done; the text says why."""


async def add_workspace(
    connection: Connection, *, name: str, workspace_id: UUID | None, runtime: str, status: str
) -> UUID:
    """Create the row, with its first history row; its id. Raises Refused if the id is taken."""
    if status not in STATUSES:
        raise ValueError(f"unknown status {status!r}")
    workspace_id = workspace_id or uuid4()
    try:
        await connection.execute(_ADD.format(status=status), workspace_id, name, runtime)
    except asyncpg.UniqueViolationError as exc:
        raise Refused(f"the workspace {workspace_id} exists already") from exc
    return workspace_id


async def read_workspaces(
    connection: Connection, workspace_id: UUID | None = None
) -> list[Mapping[str, Any]]:
    """Every workspace that is not removed, or the one with `workspace_id` whatever its status, by name."""
    return [dict(row) for row in await connection.fetch(_READ, workspace_id)]


async def change_status(
    connection: Connection, workspace_id: UUID, *, to: str, reason: str, allowed: frozenset[str]
) -> None:
    """Take the workspace from one of the `allowed` statuses to `to`. Raises Refused if it has another."""
    row = await _existing(connection, workspace_id)
    if row["status"] not in allowed:
        raise Refused(f"it is {row['status']}; this takes one that is {' or '.join(sorted(allowed))}")
    await _write(connection, to, [row], reason)


async def remove_workspace(connection: Connection, workspace_id: UUID) -> int:
    """Mark the workspace and its descendants removed and revoke their tokens; how many rows that were.

    Rows stay, containers are not touched.
    """
    await _existing(connection, workspace_id)
    async with connection.transaction():
        rows = await connection.fetch(_DESCENT, workspace_id)
        await _write(connection, "removed", [row for row in rows if row["status"] != "removed"], "removed")
        await connection.execute(_REVOKE, [row["id"] for row in rows])
    return len(rows)


async def _existing(connection: Connection, workspace_id: UUID) -> asyncpg.Record:
    row = await connection.fetchrow(_VERSION, workspace_id)
    if row is None:
        raise Refused(f"there is no workspace {workspace_id}")
    return row


async def _write(connection: Connection, to: str, rows: list[asyncpg.Record], reason: str) -> None:
    transitions = [Transition(row["id"], row["status"], row["version"], reason) for row in rows]
    changed = await write_transitions(connection, to, transitions, detected_by="command", cause_id=None)
    if len(changed) != len(rows):
        raise Refused("somebody changed it at the same moment: look, and try again")


# A status is a literal, because a parameter would not fit an enum column; it is one of STATUSES.
_ADD = """
WITH added AS (
    INSERT INTO public.workspaces (id, name, runtime, status) VALUES ($1, $2, $3, '{status}')
    RETURNING id
)
INSERT INTO healthsweep.history (workspace_id, to_status, reason, detected_by)
SELECT id, '{status}', 'created', 'command' FROM added
"""

_READ = """
SELECT
    workspace.id::text AS id,
    workspace.name,
    coalesce(nullif(workspace.runtime, ''), 'langgraph') AS runtime,
    workspace.status::text AS status,
    newest.reason AS status_reason,
    newest.at AS status_changed_at,
    workspace.last_heartbeat_at
FROM public.workspaces AS workspace
LEFT JOIN LATERAL (
    SELECT to_status, reason, at FROM healthsweep.history
    WHERE workspace_id = workspace.id ORDER BY history.id DESC LIMIT 1
) AS newest ON newest.to_status = workspace.status::text
WHERE CASE WHEN $1::uuid IS NULL THEN workspace.status::text <> 'removed' ELSE workspace.id = $1 END
ORDER BY workspace.name, workspace.id
"""

_VERSION = "SELECT id, status::text AS status, xmin::text AS version FROM public.workspaces WHERE id = $1"

_DESCENT = """
WITH RECURSIVE descent AS (
    SELECT id FROM public.workspaces WHERE id = $1
    UNION
    SELECT child.id FROM public.workspaces AS child JOIN descent ON child.parent_id = descent.id
)
SELECT workspaces.id, status::text AS status, workspaces.xmin::text AS version
FROM public.workspaces JOIN descent USING (id)
"""

_REVOKE = """
UPDATE public.workspace_auth_tokens SET revoked_at = now()
WHERE workspace_id = ANY ($1::uuid[]) AND revoked_at IS NULL
"""
