"""The api, wired in one place: what it is made of, its routes, how it starts and drains."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from api.access import Gatekeeper
from api.contradictions import Contradictions
from api.downloads import ArchiveCache
from api.handlers.agents import AgentHandlers
from api.handlers.allowlists import AllowlistHandlers
from api.handlers.downloads import DownloadHandlers
from api.handlers.plugins import PluginHandlers
from api.handlers.process import ProcessHandlers
from api.handlers.tokens import TokenHandlers
from api.handlers.workspaces import WorkspaceHandlers
from api.heartbeats import HeartbeatWriter
from api.limits import ClientAddress, RateLimit
from api.middleware import answers, common_headers, cross_origin, gates
from api.plugins.install import Fetcher, Installer
from api.plugins.listing import Installed
from api.plugins.uninstall import Uninstaller
from api.presence import Presence
from api.routes import Route, RouteTable
from api.server import Runner, admit_many_connections, listen
from api.sources import Limits, Sources
from api.store.access import AccessStore
from api.store.agents import AgentStore
from api.store.plugins import PluginStore
from api.store.presence import PresenceStore
from api.store.tokens import TokenStore
from api.store.workspaces import WorkspaceStore
from api.target import Targets
from api.turns import Turns
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
async def application(settings: Settings) -> AsyncIterator[tuple[web.Application, Presence, Contradictions]]:
    """The application, and what is to be kept up beside it; what they need is open while the context is."""
    staging, cached = settings.healthsweep_home / "staging", settings.healthsweep_home / "cache"
    prepare_directories(settings, emptied=(staging, cached))
    sources = Sources.load(settings, scratch=staging)
    async with (
        Engine(settings.docker_host, timeout=settings.engine_timeout) as engine,
        Database(
            settings.required_database_url(), application="healthsweep-api", connections=CONNECTIONS
        ) as database,
        HeartbeatWriter(database, unswept_runtimes=settings.unswept_runtimes) as heartbeats,
        Turns() as turns,
    ):
        access = AccessStore(database)
        gatekeeper = Gatekeeper(access, admin_token=settings.admin_token)
        presence = PresenceStore(database)
        plugins = PluginStore(database, external_runtimes=settings.external_runtimes)
        contradictions = Contradictions(
            engine=engine,
            store=access,
            exempt_runtimes=settings.external_runtimes | settings.unswept_runtimes,
        )
        targets = Targets(
            engine=engine,
            store=access,
            contradictions=contradictions,
            external_runtimes=settings.external_runtimes,
        )
        fetcher = Fetcher(sources=sources, limits=Limits.of(settings), directory=staging)
        cache = ArchiveCache(
            fetcher=fetcher,
            sources=sources,
            directory=cached,
            max_bytes=settings.cache_max_bytes,
        )
        routes = route_table(
            process=ProcessHandlers(engine=engine, store=presence),
            plugins=PluginHandlers(
                sources=sources,
                targets=targets,
                turns=turns,
                store=plugins,
                installer=Installer(
                    fetcher=fetcher, targets=targets, tools=engine, turns=turns, store=plugins
                ),
                uninstaller=Uninstaller(targets=targets, tools=engine, turns=turns, store=plugins),
                installed=Installed(targets=targets, tools=engine, turns=turns),
                settings=settings,
            ),
            downloads=DownloadHandlers(sources=sources, store=plugins, cache=cache),
            allowlists=AllowlistHandlers(store=plugins),
            agents=AgentHandlers(
                gatekeeper=gatekeeper,
                store=AgentStore(database, unswept_runtimes=settings.unswept_runtimes),
                heartbeats=heartbeats,
                settings=settings,
            ),
            workspaces=WorkspaceHandlers(store=WorkspaceStore(database), settings=settings),
            tokens=TokenHandlers(store=TokenStore(database)),
        )
        app = web.Application(
            client_max_size=MAX_BODY_BYTES,
            middlewares=[
                answers(routes),
                *([cross_origin(settings.cors_origins)] if settings.cors_origins else []),
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
        yield app, Presence(store=presence, gatekeeper=gatekeeper), contradictions


def route_table(
    *,
    process: ProcessHandlers,
    plugins: PluginHandlers,
    downloads: DownloadHandlers,
    allowlists: AllowlistHandlers,
    agents: AgentHandlers,
    workspaces: WorkspaceHandlers,
    tokens: TokenHandlers,
) -> RouteTable:
    """Every route of the api."""
    return RouteTable(
        [
            Route("GET", "/health", "open", process.health, limited=False, quiet=True),
            Route("GET", "/ready", "open", process.ready, limited=False, quiet=True),
            Route("GET", "/metrics", "open", process.metrics, limited=False, quiet=True),
            Route("GET", "/openapi.yaml", "open", process.openapi),
            Route("GET", "/plugins", "open", plugins.registry),
            Route("GET", "/plugins/sources", "open", plugins.sources),
            Route("GET", "/workspaces/{id}/plugins", "workspace", plugins.list_installed),
            Route("POST", "/workspaces/{id}/plugins", "workspace", plugins.install),
            Route("GET", "/workspaces/{id}/plugins/available", "workspace", plugins.available),
            Route("GET", "/workspaces/{id}/plugins/compatibility", "workspace", plugins.compatibility),
            Route("DELETE", "/workspaces/{id}/plugins/{name}", "workspace", plugins.uninstall),
            Route("GET", "/workspaces/{id}/plugins/{name}/download", "workspace", downloads.download),
            Route("GET", "/orgs/{id}/plugins/allowlist", "admin", allowlists.read),
            Route("PUT", "/orgs/{id}/plugins/allowlist", "admin", allowlists.replace),
            Route("POST", "/registry/register", "boot", agents.register),
            Route("POST", "/registry/heartbeat", "boot", agents.heartbeat, limited=False, quiet=True),
            Route("POST", "/registry/update-card", "boot", agents.update_card),
            Route("GET", "/workspaces", "admin", workspaces.list_all),
            Route("POST", "/workspaces", "admin", workspaces.create),
            Route("GET", "/workspaces/{id}", "workspace", workspaces.show),
            Route("DELETE", "/workspaces/{id}", "admin", workspaces.remove),
            Route("GET", "/workspaces/{id}/state", "workspace", agents.state, tells_removed=True),
            Route("GET", "/workspaces/{id}/history", "workspace", workspaces.history),
            Route("GET", "/workspaces/{id}/tokens", "workspace", tokens.list_live),
            Route("POST", "/workspaces/{id}/tokens", "workspace", tokens.issue),
            Route("DELETE", "/workspaces/{id}/tokens/{token_id}", "workspace", tokens.revoke),
        ]
    )


def prepare_directories(settings: Settings, *, emptied: Iterable[Path]) -> None:
    """Make what is missing, and drop what an earlier process left in the `emptied`. Raises SettingsError."""
    try:
        settings.plugins_dir.mkdir(parents=True, exist_ok=True)
        for directory in emptied:
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True, mode=0o700)
    except OSError as exc:
        raise SettingsError("HEALTHSWEEP_HOME", f"cannot be written to: {exc.strerror}") from exc


async def serve(settings: Settings) -> None:
    """Serve until cancelled; then stop accepting, let requests in flight end, and leave.

    Requests are answered from the first moment, with 503 while the database is away; READY is said when it
    is there. Raises SettingsError, SchemaError.
    """
    admit_many_connections()
    async with application(settings) as (app, presence, contradictions):
        # A handler is not cancelled when its client hangs up: an install ends or rolls back.
        # Nobody sends compressed bodies, and so nobody can send a bomb.
        runner = Runner(
            app,
            access_log=None,
            keepalive_timeout=KEEP_ALIVE_S,
            auto_decompress=False,
            shutdown_timeout=DRAIN_S,
        )
        await runner.setup()
        try:
            await listen(runner, settings)
            await presence.begin()
            systemd.notify("READY=1")
            await asyncio.gather(presence.keep(), contradictions.keep())
        finally:
            await asyncio.shield(runner.cleanup())
