"""`python -m tests.bench.reference_api`: the transcribed algorithms behind the same HTTP server as ours.

It takes DATABASE_URL, DOCKER_HOST, PLUGINS_DIR and PORT, and prints a line when it listens.
"""

import asyncio
import json
import os
from pathlib import Path

import aiohttp
import asyncpg
from aiohttp import web

from tests.bench.reference_heartbeats import CONNECTIONS, ReferenceHeartbeats, nothing_to_reset
from tests.bench.reference_plugins import ReferencePlugins

CACHED = "/cached"
"""Before the path of a heartbeat: with statements that are prepared once."""


async def serve() -> None:
    socket = aiohttp.UnixConnector(os.environ["DOCKER_HOST"].removeprefix("unix://"))
    url = os.environ["DATABASE_URL"]
    async with (
        aiohttp.ClientSession("http://engine", connector=socket) as session,
        _pool(url, statement_cache_size=0) as uncached,
        _pool(url, statement_cache_size=100) as cached,
    ):
        plugins = ReferencePlugins(session=session, registry=Path(os.environ["PLUGINS_DIR"]))
        application = web.Application()
        application.add_routes(
            [
                web.get("/workspaces/{id}/plugins", plugins.installed),
                web.get("/workspaces/{id}/plugins/{name}/download", plugins.download),
                web.post("/workspaces/{id}/plugins", plugins.install),
                web.post("/registry/heartbeat", ReferenceHeartbeats(uncached).heartbeat),
                web.post(f"{CACHED}/registry/heartbeat", ReferenceHeartbeats(cached).heartbeat),
            ]
        )
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(os.environ["PORT"])).start()
        print(json.dumps({"event": "process.started"}), flush=True)
        await asyncio.Event().wait()


def _pool(url: str, *, statement_cache_size: int) -> asyncpg.pool.Pool:
    return asyncpg.create_pool(
        url,
        min_size=CONNECTIONS,
        max_size=CONNECTIONS,
        max_inactive_connection_lifetime=0,
        statement_cache_size=statement_cache_size,
        reset=nothing_to_reset,
    )


if __name__ == "__main__":
    asyncio.run(serve())
