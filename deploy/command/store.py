"""What the `healthsweep` command alone writes; what the api does too is in shared."""

from uuid import UUID

import asyncpg

from shared.database import Connection
from shared.errors import HealthsweepError
from shared.transitions import Transition, write_transitions


class Refused(HealthsweepError):
    """The operator asked for what cannot be done; the text says why."""


async def change_status(
    connection: Connection, workspace_id: UUID, *, to: str, reason: str, allowed: frozenset[str]
) -> None:
    """Take the workspace from one of the `allowed` statuses to `to`. Raises Refused if it has another."""
    row = await _existing(connection, workspace_id)
    if row["status"] not in allowed:
        raise Refused(f"it is {row['status']}; this takes one that is {' or '.join(sorted(allowed))}")
    await _write(connection, to, [row], reason)


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


_VERSION = "SELECT id, status::text AS status, xmin::text AS version FROM public.workspaces WHERE id = $1"
