"""Rows of workspaces, read and written as the product does and as any other program would."""

from uuid import UUID

import asyncpg

from shared.transitions import Transition, write_transitions
from tests.support.rows import add_row


async def add(connection: asyncpg.Connection, status: str) -> UUID:
    """A new row, without history."""
    return UUID(await add_row(connection, status, runtime="langgraph"))


async def seen(
    connection: asyncpg.Connection,
    workspace_id: UUID,
    *,
    reason: str = "exited",
    exit_code: int | None = None,
) -> Transition:
    """A transition of the row as it is at this moment."""
    row = await connection.fetchrow(
        "SELECT status::text, xmin::text AS version FROM public.workspaces WHERE id = $1", workspace_id
    )
    assert row
    return Transition(workspace_id, row["status"], row["version"], reason, exit_code)


async def write(
    connection: asyncpg.Connection, to: str, *transitions: Transition, cause_id: str | None = None
) -> set[UUID]:
    """Write them as a sweep does."""
    return await write_transitions(connection, to, transitions, detected_by="sweep", cause_id=cause_id)


async def status(connection: asyncpg.Connection, workspace_id: UUID) -> str:
    """The row's status."""
    return str(
        await connection.fetchval("SELECT status::text FROM public.workspaces WHERE id = $1", workspace_id)
    )


async def history(connection: asyncpg.Connection, workspace_id: UUID) -> list[tuple[object, ...]]:
    """The row's transitions in order: from, to, reason, exit code, who, why."""
    rows = await connection.fetch(
        """
        SELECT from_status, to_status, reason, exit_code, detected_by, cause_id
        FROM healthsweep.history WHERE workspace_id = $1 ORDER BY id
        """,
        workspace_id,
    )
    return [tuple(row) for row in rows]
