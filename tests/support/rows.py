"""Rows as another program would write them, for tests that need a workspace in some state.

row = await add_row(connection, "offline", told=("online", "exited"))      with its newest history row
token = await add_token(connection, row)
await read_row(connection, row)["status"]
"""

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import asyncpg


async def add_row(
    connection: asyncpg.Connection,
    status: str = "online",
    *,
    runtime: str | None = "external",
    told: tuple[str | None, str] | None = None,
    **columns: object,
) -> str:
    """A workspace, and its id as text. `told` is the status it came from and the reason, in our history."""
    columns = {"id": uuid4(), "name": "somebody", "runtime": runtime, **columns}
    names = ", ".join(columns)
    values = ", ".join(f"${position}" for position in range(1, len(columns) + 1))
    await connection.execute(
        f"INSERT INTO public.workspaces (status, {names}) VALUES ('{status}', {values})", *columns.values()
    )
    if told is not None:
        await connection.execute(
            "INSERT INTO healthsweep.history (workspace_id, from_status, to_status, reason, detected_by)"
            " VALUES ($1, $2, $3, $4, 'test')",
            columns["id"],
            told[0],
            status,
            told[1],
        )
    return str(columns["id"])


async def add_token(connection: asyncpg.Connection, workspace_id: str, *, revoked: bool = False) -> str:
    """A token of the workspace, in clear."""
    token = secrets.token_urlsafe(32)
    await connection.execute(
        "INSERT INTO public.workspace_auth_tokens (workspace_id, token_hash, prefix, revoked_at)"
        " VALUES ($1, $2, $3, CASE WHEN $4 THEN now() END)",
        UUID(workspace_id),
        hashlib.sha256(token.encode()).digest(),
        token[:8],
        revoked,
    )
    return token


async def read_row(connection: asyncpg.Connection, workspace_id: str) -> Mapping[str, Any]:
    row = await connection.fetchrow("SELECT * FROM public.workspaces WHERE id = $1", UUID(workspace_id))
    assert row is not None
    return dict(row)


async def read_told(connection: asyncpg.Connection, workspace_id: str) -> list[Mapping[str, Any]]:
    """The workspace's history, oldest first."""
    rows = await connection.fetch(
        "SELECT * FROM healthsweep.history WHERE workspace_id = $1 ORDER BY id", UUID(workspace_id)
    )
    return [dict(row) for row in rows]
