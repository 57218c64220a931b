"""What the sweeper is measured against: the plain way to do the same, transcribed from a platform's server.

One SELECT of the workspaces; then one inspect per workspace, each in its turn over one kept-alive connection;
and one UPDATE for each that does not run. No history, no graces, no metrics, no log: nothing is done here
that could make it look slow.
"""

import json
from http import HTTPStatus
from uuid import UUID

import aiohttp
import asyncpg


class ReferenceSweep:
    """Sweeps over `session`, which is connected to a Docker Engine, and one database connection."""

    def __init__(self, *, session: aiohttp.ClientSession, connection: asyncpg.Connection) -> None:
        self._session = session
        self._connection = connection

    async def sweep(self) -> None:
        for row in await self._connection.fetch(_SELECT):
            if not await self._is_running(row["id"]):
                await self._connection.execute(_UPDATE, row["id"])

    async def _is_running(self, workspace_id: UUID) -> bool:
        async with self._session.get(f"http://engine/v1.41/containers/ws-{workspace_id}/json") as response:
            body = await response.read()
        if response.status == HTTPStatus.NOT_FOUND:
            return False
        response.raise_for_status()
        return bool(json.loads(body)["State"]["Running"])


_SELECT = """
SELECT id FROM public.workspaces
WHERE status IN ('online', 'degraded') AND coalesce(runtime, 'langgraph') <> 'external'
"""

_UPDATE = """
UPDATE public.workspaces SET status = 'offline', updated_at = now()
WHERE id = $1 AND status IN ('online', 'degraded')
"""
