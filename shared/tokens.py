"""Tokens of workspaces: issued once in clear, kept as a digest, listed, revoked, and reset.

Every function works on a connection that is handed in, and raises WorkspaceMissing for a workspace that
nobody created or that was removed.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from shared.database import Connection
from shared.errors import TokenLimitReached, WorkspaceMissing

MOST_ACTIVE = 50
PREFIX_LENGTH = 8
RESET_LASTS_S = 600


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token. `token` is shown to whoever asked for it and is stored nowhere."""

    id: UUID
    token: str = field(repr=False)

    @property
    def prefix(self) -> str:
        """What may be shown of it again."""
        return self.token[:PREFIX_LENGTH]


def token_digest(token: str) -> bytes:
    """What is stored of a token. Comparing digests in an index tells an attacker nothing about the token."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()


async def issue_token(connection: Connection, workspace_id: UUID) -> IssuedToken:
    """A new token of the workspace. Raises WorkspaceMissing, TokenLimitReached."""
    token = secrets.token_urlsafe(32)
    async with connection.transaction():
        await _hold(connection, workspace_id)
        if await connection.fetchval(_COUNT_ACTIVE, workspace_id) >= MOST_ACTIVE:
            raise TokenLimitReached(f"maximum {MOST_ACTIVE} active tokens per workspace")
        digest = token_digest(token)
        token_id = await connection.fetchval(_ISSUE, workspace_id, digest, token[:PREFIX_LENGTH])
    return IssuedToken(token_id, token)


async def list_tokens(
    connection: Connection, workspace_id: UUID, *, limit: int, offset: int
) -> list[Mapping[str, Any]]:
    """The workspace's live tokens, newest first: id, prefix, created_at, last_used_at."""
    return [dict(row) for row in await connection.fetch(_LIST, workspace_id, limit, offset)]


async def revoke_token(connection: Connection, workspace_id: UUID, token_id: UUID) -> str | None:
    """Revoke one live token of the workspace; its prefix, or None if there is no such token."""
    prefix: str | None = await connection.fetchval(_REVOKE, workspace_id, token_id)
    return prefix


async def reset_tokens(connection: Connection, workspace_id: UUID) -> list[str]:
    """Revoke all tokens of the workspace and let one register in without; the prefixes of what was revoked.

    That register must come within RESET_LASTS_S seconds. Raises WorkspaceMissing.
    """
    async with connection.transaction():
        await _hold(connection, workspace_id)
        revoked = await connection.fetch(_REVOKE_ALL, [workspace_id])
        await connection.execute(_RESET, workspace_id)
    return [row["prefix"] for row in revoked]


async def take_reset(connection: Connection, workspace_id: UUID) -> bool:
    """Use up the reset of the workspace; whether there was one, and it had not run out."""
    return bool(await connection.fetchval(_TAKE_RESET, workspace_id, RESET_LASTS_S))


async def revoke_all(connection: Connection, workspace_ids: list[UUID]) -> None:
    """Revoke every token of these workspaces, as their removal does."""
    await connection.execute(_REVOKE_ALL, workspace_ids)


async def _hold(connection: Connection, workspace_id: UUID) -> None:
    """Lock the workspace's row until the transaction ends, so that what is counted stays true."""
    if not await connection.fetchval(_HOLD, workspace_id):
        raise WorkspaceMissing(f"there is no workspace {workspace_id}")


_HOLD = """
SELECT true FROM public.workspaces WHERE id = $1 AND status::text <> 'removed' FOR NO KEY UPDATE
"""
_COUNT_ACTIVE = """
SELECT count(*) FROM public.workspace_auth_tokens WHERE workspace_id = $1 AND revoked_at IS NULL
"""
_ISSUE = """
INSERT INTO public.workspace_auth_tokens (workspace_id, token_hash, prefix) VALUES ($1, $2, $3) RETURNING id
"""
_LIST = """
SELECT id, prefix, created_at, last_used_at FROM public.workspace_auth_tokens
WHERE workspace_id = $1 AND revoked_at IS NULL
ORDER BY created_at DESC, id
LIMIT $2 OFFSET $3
"""
_REVOKE = """
UPDATE public.workspace_auth_tokens SET revoked_at = now()
WHERE workspace_id = $1 AND id = $2 AND revoked_at IS NULL
RETURNING prefix
"""
_REVOKE_ALL = """
UPDATE public.workspace_auth_tokens SET revoked_at = now()
WHERE workspace_id = ANY ($1::uuid[]) AND revoked_at IS NULL
RETURNING prefix
"""
_RESET = """
INSERT INTO healthsweep.token_resets (workspace_id) VALUES ($1)
ON CONFLICT (workspace_id) DO UPDATE SET at = now()
"""
_TAKE_RESET = """
WITH taken AS (DELETE FROM healthsweep.token_resets WHERE workspace_id = $1 RETURNING at)
SELECT true FROM taken WHERE at > now() - make_interval(secs => $2)
"""
