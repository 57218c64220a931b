"""What is asked about the process itself: health, readiness, metrics, and the description of the api."""

from importlib import resources

import prometheus_client
from aiohttp import web

from api.errors import PlatformUnavailable
from api.middleware import json_response
from api.store.presence import PresenceStore
from shared import metrics
from shared.engine import Engine
from shared.errors import DatabaseUnavailable, EngineError, SchemaError


class ProcessHandlers:
    """Answers of the process about itself."""

    def __init__(self, *, engine: Engine, store: PresenceStore) -> None:
        self._engine = engine
        self._store = store
        self._description = (resources.files("api") / "openapi.yaml").read_bytes()

    async def health(self, _request: web.Request) -> web.Response:
        """The process serves."""
        return json_response({"status": "ok"})

    async def ready(self, _request: web.Request) -> web.Response:
        """503 unless the database answers and takes writes; an engine that is away is only named."""
        try:
            writable = await self._store.writable()
        except DatabaseUnavailable as exc:
            raise PlatformUnavailable(database="away", engine=await self._engine_state()) from exc
        except SchemaError as exc:
            raise PlatformUnavailable(database="not migrated", engine=await self._engine_state()) from exc
        if not writable:
            raise PlatformUnavailable(database="read-only", engine=await self._engine_state())
        return json_response({"status": "ok", "database": "ok", "engine": await self._engine_state()})

    async def metrics(self, _request: web.Request) -> web.Response:
        """Prometheus text."""
        return web.Response(
            body=prometheus_client.generate_latest(metrics.API),
            headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST},
        )

    async def openapi(self, _request: web.Request) -> web.Response:
        """The description of every route."""
        return web.Response(body=self._description, content_type="application/yaml", charset="utf-8")

    async def _engine_state(self) -> str:
        try:
            await self._engine.ping()
        except EngineError as unknown:
            return f"away ({unknown.reason})"
        return "ok"
