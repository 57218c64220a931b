"""The api, wired in one place: what it is made of, its routes, how it starts and drains."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from api.access import Gatekeeper
from api.handlers.agents import AgentHandlers
from api.handlers.process import ProcessHandlers
from api.handlers.workspaces import WorkspaceHandlers
from api.heartbeats import HeartbeatWriter
from api.limits import ClientAddress, RateLimit
from api.middleware import answers, common_headers, cross_origin, gates
from api.presence import Presence
from api.routes import Route, RouteTable
from api.store.access import AccessStore
from api.store.agents import AgentStore
from api.store.presence import PresenceStore
from api.store.workspaces import WorkspaceStore
from shared import systemd
from shared.database import Database
from shared.engine import Engine
from shared.errors import SettingsError
from shared.settings import Settings

MAX_BODY_BYTES = 2**20
DRAIN_S = 60.0
KEEP_ALIVE_S = 75.0
CONNECTIONS = 10


@asynccontextmanager
async def application(settings: Settings) -> AsyncIterator[tuple[web.Application, Presence]]:
    """The application and what renews its presence; what they need is open while the context is."""
    async with (
        Engine(settings.docker_host, timeout=settings.engine_timeout) as engine,
        Database(
            settings.required_database_url(), application="healthsweep-api", connections=CONNECTIONS
        ) as database,
        HeartbeatWriter(database) as heartbeats,
    ):
        access = AccessStore(database)
        gatekeeper = Gatekeeper(access, admin_token=settings.admin_token)
        presence = PresenceStore(database)
        process = ProcessHandlers(engine=engine, store=presence)
        agents = AgentHandlers(
            gatekeeper=gatekeeper, store=AgentStore(database), heartbeats=heartbeats, settings=settings
        )
        workspaces = WorkspaceHandlers(store=WorkspaceStore(database), settings=settings)
        routes = RouteTable(
            [
                Route("GET", "/health", "open", process.health, limited=False, quiet=True),
                Route("GET", "/ready", "open", process.ready, limited=False, quiet=True),
                Route("GET", "/metrics", "open", process.metrics, limited=False, quiet=True),
                Route("GET", "/openapi.yaml", "open", process.openapi),
                Route("POST", "/registry/register", "boot", agents.register),
                Route("POST", "/registry/heartbeat", "boot", agents.heartbeat, limited=False, quiet=True),
                Route("POST", "/registry/update-card", "boot", agents.update_card),
                Route("GET", "/workspaces/{id}/state", "workspace", agents.state, tells_removed=True),
                Route("GET", "/workspaces", "admin", workspaces.list_all),
                Route("POST", "/workspaces", "admin", workspaces.create),
                Route("GET", "/workspaces/{id}", "workspace", workspaces.show),
                Route("DELETE", "/workspaces/{id}", "admin", workspaces.remove),
                Route("GET", "/workspaces/{id}/history", "workspace", workspaces.history),
                Route("GET", "/workspaces/{id}/tokens", "workspace", workspaces.list_tokens),
                Route("POST", "/workspaces/{id}/tokens", "workspace", workspaces.issue_token),
                Route("DELETE", "/workspaces/{id}/tokens/{token_id}", "workspace", workspaces.revoke_token),
            ]
        )
        app = web.Application(
            client_max_size=MAX_BODY_BYTES,
            middlewares=[
                answers(routes),
                cross_origin(settings.cors_origins),
                gates(
                    routes,
                    gatekeeper=gatekeeper,
                    limit=RateLimit(settings.rate_limit),
                    address=ClientAddress(settings.trusted_proxies),
                ),
            ],
        )
        app.on_response_prepare.append(common_headers(settings.cors_origins))
        routes.add_to(app)
        yield app, Presence(database=database, store=presence, gatekeeper=gatekeeper)


async def serve(settings: Settings) -> None:
    """Serve until cancelled; then stop accepting, let requests in flight end, and leave.

    Requests are answered from the first moment, with 503 while the database is away; READY is said when it
    is there. Raises SettingsError, SchemaError.
    """
    async with application(settings) as (app, presence):
        # A handler is not cancelled when its client hangs up: an install ends or rolls back.
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=KEEP_ALIVE_S, shutdown_timeout=DRAIN_S)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, settings.bind_address, settings.port).start()
            except OSError as exc:
                raise SettingsError("PORT", f"cannot be listened on: {exc.strerror}") from exc
            await presence.begin()
            systemd.notify("READY=1")
            await presence.keep()
        finally:
            await asyncio.shield(runner.cleanup())
