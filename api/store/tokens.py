"""The tokens of one workspace, for its own agent and for the operator."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from shared.database import Database
from shared.tokens import IssuedToken, issue_token, list_tokens, revoke_token


class TokenStore:
    """What shared.tokens does, each on a connection of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def issue(self, workspace_id: UUID) -> IssuedToken:
        """A new token. Raises WorkspaceMissing, TokenLimitReached."""
        async with self._database.connection() as connection:
            return await issue_token(connection, workspace_id)

    async def list(self, workspace_id: UUID, *, limit: int, offset: int) -> list[Mapping[str, Any]]:
        """The live tokens, newest first."""
        async with self._database.connection() as connection:
            return await list_tokens(connection, workspace_id, limit=limit, offset=offset)

    async def revoke(self, workspace_id: UUID, token_id: UUID) -> str | None:
        """Revoke a live token; its prefix, or None if there is none."""
        async with self._database.connection() as connection:
            return await revoke_token(connection, workspace_id, token_id)
