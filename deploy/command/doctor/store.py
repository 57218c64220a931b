"""What doctor asks of the database."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.database import Connection


@dataclass(frozen=True, slots=True)
class Named:
    """A workspace as a person knows it."""

    id: UUID
    name: str | None


@dataclass(frozen=True, slots=True)
class Foreign:
    """A workspace whose status another program wrote after us."""

    id: UUID
    name: str | None
    status: str
    written: str


async def server(connection: Connection) -> tuple[str, bool, datetime]:
    """PostgreSQL's version, whether it is a standby or otherwise read-only, and its time now."""
    (row,) = await connection.fetch(_SERVER)
    return row["version"], row["read_only"], row["now"]


async def try_to_write(connection: Connection) -> None:
    """Touch what the services write, and change nothing: what forbids that raises as it would for them."""
    async with connection.transaction():
        for statement in _WRITES:
            await connection.execute(statement)


async def foreign_statuses(connection: Connection) -> list[Foreign]:
    """Every workspace whose status is not what our newest history row of it says."""
    return [Foreign(**row) for row in await connection.fetch(_FOREIGN)]


async def locked_out(connection: Connection, reset_lasts_s: int) -> list[Named]:
    """Every workspace whose tokens are all revoked, and that may not register anew."""
    return [Named(**row) for row in await connection.fetch(_LOCKED_OUT, reset_lasts_s)]


async def external(connection: Connection, runtimes: frozenset[str]) -> int:
    """How many workspaces have their agent on another machine."""
    count: int = await connection.fetchval(_EXTERNAL, list(runtimes))
    return count


_SERVER = """
SELECT
    current_setting('server_version') AS version,
    pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS read_only,
    clock_timestamp() AS now
"""

_WRITES = (
    "UPDATE public.workspaces SET status = status, last_heartbeat_at = NULL, updated_at = now() WHERE false",
    """
    INSERT INTO healthsweep.history (workspace_id, to_status, reason, detected_by)
    SELECT id, '', '', '' FROM public.workspaces WHERE false
    """,
    "UPDATE healthsweep.presence SET seen_at = now() WHERE false",
    "UPDATE public.workspace_auth_tokens SET last_used_at = now() WHERE false",
)

_FOREIGN = """
SELECT workspace.id, workspace.name, workspace.status::text AS status, newest.to_status AS written
FROM public.workspaces AS workspace
CROSS JOIN LATERAL (
    SELECT to_status FROM healthsweep.history
    WHERE workspace_id = workspace.id ORDER BY history.id DESC LIMIT 1
) AS newest
WHERE newest.to_status <> workspace.status::text
ORDER BY workspace.name, workspace.id
"""

_LOCKED_OUT = """
SELECT workspace.id, workspace.name FROM public.workspaces AS workspace
WHERE workspace.status::text <> 'removed'
    AND EXISTS (SELECT FROM public.workspace_auth_tokens WHERE workspace_id = workspace.id)
    AND NOT EXISTS (
        SELECT FROM public.workspace_auth_tokens
        WHERE workspace_id = workspace.id AND revoked_at IS NULL
    )
    AND NOT EXISTS (
        SELECT FROM healthsweep.token_resets
        WHERE workspace_id = workspace.id AND at > now() - make_interval(secs => $1)
    )
ORDER BY workspace.name, workspace.id
"""

_EXTERNAL = """
SELECT count(*) FROM public.workspaces
WHERE status::text <> 'removed' AND runtime = ANY ($1::text[])
"""
