"""Workspaces as rows: created, read, removed; what the api and the command do alike.

Every function works on a connection that is handed in.
"""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from shared.database import Connection
from shared.errors import WorkspaceMissing
from shared.settings import Settings
from shared.tokens import revoke_all
from shared.transitions import NOTIFY, STATUSES, Transition, write_transitions


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWorkspace:
    """What a workspace begins with. Without an `id` it gets a new one; `tier` None is the table's default."""

    name: str
    id: UUID | None = None
    runtime: str = "langgraph"
    status: str = "offline"
    url: str | None = None
    role: str | None = None
    tier: int | None = None
    parent_id: UUID | None = None


async def add_workspace(
    connection: Connection, new: NewWorkspace, *, detected_by: str, cause_id: str | None
) -> UUID | None:
    """Create the row, with its first history row; its id, or None if the id is taken.

    Raises WorkspaceMissing where the parent is no workspace, or a removed one.
    """
    if new.status not in STATUSES:
        raise ValueError(f"unknown status {new.status!r}")
    async with connection.transaction():
        # Held until the row is there, so that the parent's removal takes this child too.
        if new.parent_id and not await connection.fetchval(_HOLD_PARENT, new.parent_id):
            raise WorkspaceMissing(f"there is no workspace {new.parent_id}")
        row = await connection.fetchrow(
            _ADD.format(to=new.status, notify=NOTIFY),
            new.id or uuid4(),
            new.name,
            new.runtime,
            new.url,
            new.role,
            new.tier,
            new.parent_id,
            detected_by,
            cause_id,
        )
    return row["id"] if row else None


async def read_workspaces(connection: Connection, workspace_id: UUID | None = None) -> list[dict[str, Any]]:
    """Every workspace that is not removed, or the one with `workspace_id` whatever its status, by name."""
    rows = [dict(row) for row in await connection.fetch(_READ, workspace_id)]
    return [{**row, "agent_card": _card(row["agent_card"])} for row in rows]


def _card(text: str | None) -> Any:
    """The card; None for one too deep to be read, which another program may have taken from an agent."""
    try:
        return json.loads(text) if text else None
    except RecursionError:
        return None


async def remove_workspace(
    connection: Connection, workspace_id: UUID, *, detected_by: str, cause_id: str | None
) -> int:
    """Mark the workspace and its descendants removed and revoke their tokens; how many descendants changed.

    Rows stay, containers are not touched. Raises WorkspaceMissing where there is no such row.
    """
    async with connection.transaction():
        # Waits for whoever writes one of the rows, and looks again for children that were made meanwhile.
        rows = await connection.fetch(_HOLD_DESCENT, workspace_id)
        while len(again := await connection.fetch(_HOLD_DESCENT, workspace_id)) > len(rows):
            rows = again
        if not rows:
            raise WorkspaceMissing(f"there is no workspace {workspace_id}")
        transitions = [
            Transition(row["id"], row["status"], row["version"], "removed")
            for row in rows
            if row["status"] != "removed"
        ]
        changed = await write_transitions(
            connection, "removed", transitions, detected_by=detected_by, cause_id=cause_id
        )
        await revoke_all(connection, [row["id"] for row in rows])
    return len(changed - {workspace_id})


def connection_block(settings: Settings, workspace_id: UUID, auth_token: str) -> dict[str, str]:
    """What a remote agent has to know to connect as this workspace."""
    platform_url = settings.public_url or local_url(settings)
    return {
        "workspace_id": str(workspace_id),
        "platform_url": platform_url,
        "auth_token": auth_token,
        "registry_endpoint": f"{platform_url}/registry/register",
        "heartbeat_endpoint": f"{platform_url}/registry/heartbeat",
    }


def local_url(settings: Settings) -> str:
    """Where this host reaches the api."""
    host = settings.bind_address
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared with, not bound to
        host = "127.0.0.1"
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


_HOLD_PARENT = """
SELECT true FROM public.workspaces WHERE id = $1 AND status::text <> 'removed' FOR KEY SHARE
"""

# A status is a literal, because a parameter would not fit an enum column; it is one of STATUSES.
_ADD = """
WITH added AS (
    INSERT INTO public.workspaces (id, name, runtime, status, url, role, tier, parent_id)
    VALUES ($1, $2, $3, '{to}', $4, $5, coalesce($6, 1), $7)
    ON CONFLICT (id) DO NOTHING
    RETURNING id, NULL::text AS seen, '{to}'::text AS target, 'created'::text AS reason
), history AS (
    INSERT INTO healthsweep.history (workspace_id, to_status, reason, detected_by, cause_id)
    SELECT id, target, reason, $8::text, $9::text FROM added
)
SELECT id, {notify} FROM added
"""

_READ = """
SELECT
    workspace.id,
    workspace.name,
    workspace.role,
    workspace.tier,
    workspace.status::text AS status,
    newest.reason AS status_reason,
    newest.at AS status_changed_at,
    coalesce(nullif(workspace.runtime, ''), 'langgraph') AS runtime,
    workspace.url,
    workspace.parent_id,
    workspace.agent_card,
    workspace.last_heartbeat_at,
    workspace.last_error_rate,
    workspace.last_sample_error,
    workspace.active_tasks,
    workspace.uptime_seconds,
    workspace.current_task,
    workspace.created_at,
    workspace.updated_at
FROM public.workspaces AS workspace
LEFT JOIN LATERAL (
    SELECT to_status, reason, at FROM healthsweep.history
    WHERE workspace_id = workspace.id ORDER BY history.id DESC LIMIT 1
) AS newest ON newest.to_status = workspace.status::text
WHERE CASE WHEN $1::uuid IS NULL THEN workspace.status::text <> 'removed' ELSE workspace.id = $1 END
ORDER BY workspace.name, workspace.id
"""

_HOLD_DESCENT = """
WITH RECURSIVE descent AS (
    SELECT id FROM public.workspaces WHERE id = $1
    UNION
    SELECT child.id FROM public.workspaces AS child JOIN descent ON child.parent_id = descent.id
)
SELECT workspace.id, workspace.status::text AS status, workspace.xmin::text AS version
FROM public.workspaces AS workspace JOIN descent USING (id)
ORDER BY workspace.id FOR UPDATE OF workspace
"""
