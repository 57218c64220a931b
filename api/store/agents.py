"""What agents say of themselves beside heartbeats, and what they ask."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from api.store.heartbeats import Beat, HeartbeatStore, Transition
from api.store.verdicts import Asked
from shared.database import Database
from shared.errors import HealthsweepError, WorkspaceMissing
from shared.tokens import IssuedToken, issue_token, take_reset


class TokenDemanded(HealthsweepError):
    """Meanwhile somebody else registered the workspace and got its token."""


@dataclass(frozen=True, slots=True)
class Registered:
    """What a register did. `issued`: the workspace's first token, or the one after a reset."""

    issued: IssuedToken | None
    transition: Transition | None


class AgentStore:
    """The agents' side of the database, their heartbeats aside."""

    def __init__(self, database: Database, *, unswept_runtimes: Iterable[str]) -> None:
        self._database = database
        self._heartbeats = HeartbeatStore(database, unswept_runtimes=unswept_runtimes)

    async def runtime(self, workspace_id: UUID) -> str:
        """The workspace's runtime."""
        async with self._database.connection() as connection:
            return str(await connection.fetchval(_RUNTIME, workspace_id))

    async def register(
        self,
        workspace_id: UUID,
        *,
        url: str | None,
        agent_card: dict[str, Any],
        proven: bool,
        opens_reset: bool,
        request_id: str | None,
    ) -> Registered:
        """Write who the agent is and that it was heard, and issue its token, all or nothing.

        `proven`: a token or the operator stands for it. `opens_reset`: it may use up a reset. Raises
        TokenDemanded, WorkspaceMissing, TokenLimitReached.
        """
        async with self._database.connection() as connection, connection.transaction():
            if not await connection.fetchval(_HOLD, workspace_id):
                raise WorkspaceMissing(f"there is no workspace {workspace_id}")
            first = not await connection.fetchval(_EVER_ISSUED, workspace_id)
            reset = not first and opens_reset and await take_reset(connection, workspace_id)
            if not (first or reset or proven):
                raise TokenDemanded
            await connection.execute(_REGISTER, workspace_id, url, json.dumps(agent_card))
            heard = Asked(workspace_id, digest=None, is_admin=True)
            (receipt,) = await self._heartbeats.write_on(connection, [Beat(heard, None, request_id)])
            issued = await issue_token(connection, workspace_id) if first or reset else None
        return Registered(issued, receipt.transition)

    async def update_card(self, workspace_id: UUID, agent_card: dict[str, Any]) -> bool:
        """Replace the agent card; whether there was a workspace to write it to."""
        async with self._database.connection() as connection:
            return bool(await connection.fetchval(_UPDATE_CARD, workspace_id, json.dumps(agent_card)))

    async def status(self, workspace_id: UUID) -> str:
        """The workspace's status; `removed` for what is not there."""
        async with self._database.connection() as connection:
            return await connection.fetchval(_STATUS, workspace_id) or "removed"


_RUNTIME = "SELECT coalesce(nullif(runtime, ''), 'langgraph') FROM public.workspaces WHERE id = $1"
_STATUS = "SELECT status::text FROM public.workspaces WHERE id = $1"

# What is asked beside the row is asked after it is held: the snapshot of this statement would be older.
_HOLD = """
SELECT true FROM public.workspaces WHERE id = $1 AND status::text <> 'removed' FOR NO KEY UPDATE
"""
_EVER_ISSUED = "SELECT EXISTS (SELECT FROM public.workspace_auth_tokens WHERE workspace_id = $1)"

# A url on this host was stored by whoever published the container's port there, and is the one that works.
_REGISTER = """
UPDATE public.workspaces SET
    url = CASE WHEN starts_with(url, 'http://127.0.0.1') THEN url ELSE coalesce($2, url) END,
    agent_card = $3::jsonb,
    updated_at = now()
WHERE id = $1
"""
_UPDATE_CARD = """
UPDATE public.workspaces SET agent_card = $2::jsonb, updated_at = now()
WHERE id = $1 AND status::text <> 'removed'
RETURNING true
"""
