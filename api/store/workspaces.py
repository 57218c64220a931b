"""Workspaces as the operator and their own agents see them."""

from typing import Any
from uuid import UUID

from shared.database import Database
from shared.tokens import IssuedToken, issue_token
from shared.workspaces import NewWorkspace, add_workspace, read_workspaces, remove_workspace

Row = dict[str, Any]


class WorkspaceStore:
    """Creates, reads and removes rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_all(self) -> list[Row]:
        """Every workspace that is not removed, by name."""
        async with self._database.connection() as connection:
            return await read_workspaces(connection)

    async def get(self, workspace_id: UUID) -> Row | None:
        """The workspace, None if it is not there or removed."""
        async with self._database.connection() as connection:
            rows = await read_workspaces(connection, workspace_id)
        return next((row for row in rows if row["status"] != "removed"), None)

    async def children(self, workspace_id: UUID) -> list[dict[str, object]]:
        """Whose parent it is, removed ones aside: id and name, by name."""
        async with self._database.connection() as connection:
            return [dict(row) for row in await connection.fetch(_CHILDREN, workspace_id)]

    async def create(
        self, new: NewWorkspace, *, with_token: bool, request_id: str | None
    ) -> tuple[UUID, IssuedToken | None]:
        """Create the workspace, with its first token if wanted. Raises WorkspaceMissing for the parent."""
        async with self._database.connection() as connection, connection.transaction():
            workspace_id = await add_workspace(connection, new, detected_by="request", cause_id=request_id)
            if workspace_id is None:
                raise RuntimeError("a new UUID was taken already")
            return workspace_id, await issue_token(connection, workspace_id) if with_token else None

    async def remove(self, workspace_id: UUID, *, request_id: str | None) -> int:
        """Remove the workspace and its descendants; how many those were. Raises WorkspaceMissing."""
        async with self._database.connection() as connection:
            return await remove_workspace(
                connection, workspace_id, detected_by="request", cause_id=request_id
            )

    async def history(self, workspace_id: UUID, *, limit: int) -> list[Row]:
        """The newest transitions, newest first."""
        async with self._database.connection() as connection:
            return [dict(row) for row in await connection.fetch(_HISTORY, workspace_id, limit)]


_CHILDREN = """
SELECT id, name FROM public.workspaces WHERE parent_id = $1 AND status::text <> 'removed' ORDER BY name, id
"""
_HISTORY = """
SELECT from_status AS "from", to_status AS "to", reason, at, exit_code, detected_by, cause_id
FROM healthsweep.history WHERE workspace_id = $1 ORDER BY id DESC LIMIT $2
"""
