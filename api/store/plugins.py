"""What was delivered to whom, and what an org allows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from shared.database import Database
from shared.errors import DatabaseUnavailable


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """A delivery: into a container (`installed_at`), or fetched by an external workspace (`pulled_at`)."""

    plugin_name: str
    source: str
    digest: str
    installed_at: datetime | None
    pulled_at: datetime | None


@dataclass(frozen=True, slots=True)
class AllowlistEntry:
    """A plugin that an org allows."""

    plugin_name: str
    enabled_by: str
    enabled_at: datetime


class PluginStore:
    """Records of deliveries, and allowlists. Every method raises DatabaseUnavailable."""

    def __init__(self, database: Database, *, external_runtimes: Iterable[str]) -> None:
        self._database = database
        self._external_runtimes = list(external_runtimes)

    async def records(self, workspace_id: UUID) -> dict[str, PluginRecord]:
        """Every delivery to this workspace, by the plugin's name."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_RECORDS, workspace_id)
        return {row["plugin_name"]: PluginRecord(**row) for row in rows}

    async def record_install(
        self, workspace_id: UUID, *, name: str, source: str, digest: str, size_bytes: int
    ) -> None:
        """Note an install; a repeated one keeps the time of the first."""
        async with self._database.connection() as connection:
            await connection.execute(_INSTALLED, workspace_id, name, source, digest, size_bytes)

    async def record_pull(
        self, workspace_id: UUID, *, name: str, source: str, digest: str, size_bytes: int
    ) -> bool:
        """Note that an external workspace has fetched a plugin; False for one that is not external."""
        async with self._database.connection() as connection:
            pulled = await connection.fetchval(
                _PULLED, workspace_id, name, source, digest, size_bytes, self._external_runtimes
            )
        return bool(pulled)

    async def forget(self, workspace_id: UUID, name: str) -> bool:
        """Drop a record; False if there was none."""
        async with self._database.connection() as connection:
            return await connection.fetchval(_FORGET, workspace_id, name) is not None

    async def is_allowed(self, workspace_id: UUID, name: str) -> bool:
        """Whether the workspace's org allows the plugin: it is listed, or nothing is.

        The org is the root of the workspace's parents. Parents in a circle, or more than 32 of them, have no
        root, and an org that cannot be known allows nothing: DatabaseUnavailable.
        """
        async with self._database.connection() as connection:
            allowed = await connection.fetchval(_ALLOWED, workspace_id, name)
        if allowed is None:
            raise DatabaseUnavailable("the workspace's parents have no root")
        return bool(allowed)

    async def is_org(self, org_id: UUID) -> bool:
        """Whether this is a root workspace that is not removed."""
        async with self._database.connection() as connection:
            return bool(await connection.fetchval(_IS_ORG, org_id))

    async def allowlist(self, org_id: UUID) -> list[AllowlistEntry]:
        """What the org allows, by name; empty means everything."""
        async with self._database.connection() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(_ALLOWLIST, org_id)
        return [AllowlistEntry(**row) for row in rows]

    async def replace_allowlist(self, org_id: UUID, names: Sequence[str], *, enabled_by: str) -> None:
        """Allow exactly these; none of them means everything. All or nothing."""
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(_LOCK_ORG, str(org_id))
            await connection.execute(_DISALLOW, org_id)
            await connection.execute(_ALLOW, org_id, list(names), enabled_by)


_RECORDS = """
SELECT plugin_name, source, digest, installed_at, pulled_at
FROM healthsweep.plugin_records WHERE workspace_id = $1 ORDER BY plugin_name COLLATE "C"
"""
_INSTALLED = """
INSERT INTO healthsweep.plugin_records AS record
    (workspace_id, plugin_name, source, digest, size_bytes, installed_at)
VALUES ($1, $2, $3, $4, $5, now())
ON CONFLICT (workspace_id, plugin_name) DO UPDATE SET
    source = excluded.source, digest = excluded.digest, size_bytes = excluded.size_bytes,
    installed_at = coalesce(record.installed_at, now())
"""
_PULLED = """
INSERT INTO healthsweep.plugin_records
    (workspace_id, plugin_name, source, digest, size_bytes, pulled_at)
SELECT $1, $2, $3, $4, $5, now() FROM public.workspaces WHERE id = $1 AND runtime = ANY ($6::text[])
ON CONFLICT (workspace_id, plugin_name) DO UPDATE SET
    source = excluded.source, digest = excluded.digest, size_bytes = excluded.size_bytes, pulled_at = now()
RETURNING true
"""
_FORGET = """
DELETE FROM healthsweep.plugin_records WHERE workspace_id = $1 AND plugin_name = $2 RETURNING plugin_name
"""
_ALLOWED = """
WITH RECURSIVE ancestry AS (
    SELECT id, parent_id, 1 AS depth FROM public.workspaces WHERE id = $1
    UNION ALL
    SELECT parent.id, parent.parent_id, depth + 1
    FROM public.workspaces AS parent JOIN ancestry ON parent.id = ancestry.parent_id WHERE depth < 32
)
SELECT NOT EXISTS (SELECT FROM public.org_plugin_allowlist WHERE org_id = root.id)
    OR EXISTS (SELECT FROM public.org_plugin_allowlist WHERE org_id = root.id AND plugin_name = $2)
FROM ancestry AS root WHERE root.parent_id IS NULL
"""
_IS_ORG = (
    "SELECT true FROM public.workspaces WHERE id = $1 AND parent_id IS NULL AND status::text <> 'removed'"
)
_ALLOWLIST = """
SELECT plugin_name, enabled_by, enabled_at FROM public.org_plugin_allowlist
WHERE org_id = $1 ORDER BY plugin_name COLLATE "C"
"""
_LOCK_ORG = "SELECT pg_advisory_xact_lock(hashtext('healthsweep.allowlist.' || $1))"
_DISALLOW = "DELETE FROM public.org_plugin_allowlist WHERE org_id = $1"
_ALLOW = """
INSERT INTO public.org_plugin_allowlist (org_id, plugin_name, enabled_by)
SELECT DISTINCT $1::uuid, name, $3 FROM unnest($2::text[]) AS name
"""
