"""Who is behind a token, and what a workspace's row says to the gates."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from api.store.verdicts import JOINS, VERDICT, Asked, Judgement
from shared.database import Database
from shared.errors import DatabaseUnavailable
from shared.tokens import RESET_LASTS_S


@dataclass(frozen=True, slots=True)
class KnownToken:
    """A token that was issued once, whatever became of it."""

    token_id: UUID
    workspace_id: UUID
    revoked: bool
    workspace_removed: bool


class AccessStore:
    """What authentication and the gates ask of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def token(self, digest: bytes) -> KnownToken | None:
        """The token whose sha256 is `digest`. The one query of authentication."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_KNOWN, digest)
        return KnownToken(**row) if row else None

    async def judge(self, asked: Asked) -> Judgement:
        """Whether an agent may act for the workspace that its body names. One query, too."""
        async with self._database.connection() as connection:
            (row,) = await connection.fetch(
                _JUDGE, asked.workspace_id, asked.digest, asked.is_admin, RESET_LASTS_S
            )
        return Judgement(**row)

    async def exists(self, workspace_id: UUID) -> bool:
        """Whether there is such a workspace, and it is not removed."""
        async with self._database.connection() as connection:
            return bool(await connection.fetchval(_EXISTS, workspace_id))

    async def runtime(self, workspace_id: UUID) -> str:
        """The workspace's runtime. Raises DatabaseUnavailable also when only this column cannot be read."""
        async with self._database.connection() as connection:
            try:
                runtime = await connection.fetchval(_RUNTIME, workspace_id)
            except asyncpg.PostgresError as exc:
                raise DatabaseUnavailable(f"the runtime cannot be read ({exc.sqlstate})") from exc
        return runtime or "langgraph"

    async def short_name_is_unique(self, workspace_id: UUID) -> bool:
        """Whether no other row, removed ones included, shares the first 12 characters of the id."""
        prefix = str(workspace_id)[:12]
        async with self._database.connection() as connection:
            others = await connection.fetchval(
                _SHARING,
                UUID(f"{prefix}0-0000-0000-000000000000"),
                UUID(f"{prefix}f-ffff-ffff-ffffffffffff"),
                workspace_id,
            )
        return not others

    async def online(
        self, workspace_ids: Iterable[UUID], *, exempt_runtimes: Iterable[str]
    ) -> dict[UUID, bool]:
        """Those of the workspaces that show online or degraded, and whose status the sweeper keeps.

        With each: whether its short name is unique.
        """
        async with self._database.connection() as connection:
            rows = await connection.fetch(_ONLINE, list(workspace_ids), list(exempt_runtimes))
        return {row["id"]: row["short_name_is_unique"] for row in rows}

    async def touch(self, token_ids: Iterable[UUID]) -> None:
        """Note that these tokens were used just now."""
        async with self._database.connection() as connection:
            await connection.execute(_TOUCH, list(token_ids))


_KNOWN = """
SELECT
    token.id AS token_id,
    token.workspace_id,
    token.revoked_at IS NOT NULL AS revoked,
    workspace.status::text = 'removed' AS workspace_removed
FROM public.workspace_auth_tokens AS token
JOIN public.workspaces AS workspace ON workspace.id = token.workspace_id
WHERE token.token_hash = $1
"""
_JUDGE = f"""
SELECT
    {VERDICT} AS verdict,
    token.id AS token_id,
    EXISTS (
        SELECT FROM healthsweep.token_resets AS reset
        WHERE reset.workspace_id = asked.id AND reset.at > now() - make_interval(secs => $4)
    ) AS reset_open
FROM (VALUES ($1::uuid, $2::bytea, $3::boolean)) AS asked (id, digest, is_admin)
{JOINS}
"""  # noqa: S608 - the parts are constants
_EXISTS = "SELECT true FROM public.workspaces WHERE id = $1 AND status::text <> 'removed'"
_RUNTIME = "SELECT runtime FROM public.workspaces WHERE id = $1"
# The ids that share 12 characters are a range of the primary key.
_SHARING = "SELECT count(*) FROM public.workspaces WHERE id BETWEEN $1 AND $2 AND id <> $3"
# `instance_id` exists on platform databases only, and names another host: see the sweeper's store.
_ONLINE = """
SELECT swept.id, NOT EXISTS (
    SELECT FROM public.workspaces AS other
    WHERE other.id <> swept.id
        AND other.id BETWEEN (left(swept.id::text, 12) || '0-0000-0000-000000000000')::uuid
            AND (left(swept.id::text, 12) || 'f-ffff-ffff-ffffffffffff')::uuid
) AS short_name_is_unique
FROM (VALUES (NULL)) AS platform_only (instance_id)
CROSS JOIN LATERAL (
    SELECT id FROM public.workspaces
    WHERE id = ANY ($1::uuid[])
        AND status::text IN ('online', 'degraded')
        AND NOT coalesce(nullif(runtime, ''), 'langgraph') = ANY ($2::text[])
        AND instance_id IS NULL
) AS swept
"""
_TOUCH = "UPDATE public.workspace_auth_tokens SET last_used_at = now() WHERE id = ANY ($1::uuid[])"
