"""A heartbeat as a platform's server handles it, transcribed: what our api is measured against.

Six statements, each a transaction and a round of its own. The server is written in Go with database/sql and
lib/pq, which sends a statement with arguments in two round trips, one that parses and describes it and one
that binds and executes it, and keeps nothing of it for the next time. A pool of asyncpg's without a cache of
statements does the same on the wire; one with a cache shows what a kinder driver would have made of it.
"""

import hashlib
from uuid import UUID

import asyncpg
from aiohttp import web

CONNECTIONS = 16


class ReferenceHeartbeats:
    """Writes heartbeats over `pool`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def heartbeat(self, request: web.Request) -> web.Response:
        """Who may, what the agent tells, and whether that changes its status."""
        told = await request.json()
        workspace_id = UUID(told["workspace_id"])
        async with self._pool.acquire() as connection:
            if await connection.fetchval(_LIVE_TOKENS, workspace_id):
                token = request.headers["Authorization"].removeprefix("Bearer ")
                found = await connection.fetchrow(_TOKEN, hashlib.sha256(token.encode()).digest())
                if found is None or found["workspace_id"] != workspace_id:
                    raise web.HTTPUnauthorized
                await connection.execute(_USED, found["id"])
            await connection.fetchval(_TASK, workspace_id)
            await connection.execute(
                _HEARD,
                workspace_id,
                told["error_rate"],
                told["sample_error"],
                told["active_tasks"],
                told["uptime_seconds"],
                told["current_task"],
            )
            status = await connection.fetchval(_STATUS, workspace_id)
            if status == "online" and told["error_rate"] >= 0.5:
                await connection.execute(_DEGRADED, workspace_id)
            elif status != "online" and told["error_rate"] < 0.1:
                await connection.execute(_ONLINE, workspace_id)
        return web.json_response({"status": "ok"})


async def nothing_to_reset(_: object) -> None:
    """In the place of a statement that asyncpg would send each time, and lib/pq does not."""


_LIVE_TOKENS = """
SELECT count(*) FROM public.workspace_auth_tokens WHERE workspace_id = $1 AND revoked_at IS NULL
"""
_TOKEN = """
SELECT token.id, token.workspace_id
FROM public.workspace_auth_tokens AS token
JOIN public.workspaces AS workspace ON workspace.id = token.workspace_id
WHERE token.token_hash = $1 AND token.revoked_at IS NULL AND workspace.status <> 'removed'
"""
_USED = "UPDATE public.workspace_auth_tokens SET last_used_at = now() WHERE id = $1"
_TASK = "SELECT coalesce(current_task, '') FROM public.workspaces WHERE id = $1"
_HEARD = """
UPDATE public.workspaces SET
    last_heartbeat_at = now(),
    last_error_rate = $2,
    last_sample_error = $3,
    active_tasks = $4,
    uptime_seconds = $5,
    current_task = $6,
    updated_at = now()
WHERE id = $1
"""
_STATUS = "SELECT status FROM public.workspaces WHERE id = $1"
_DEGRADED = "UPDATE public.workspaces SET status = 'degraded', updated_at = now() WHERE id = $1"
_ONLINE = "UPDATE public.workspaces SET status = 'online', updated_at = now() WHERE id = $1"
