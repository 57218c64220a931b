"""Plugin requests: what is there, what suits, install and uninstall."""

from collections.abc import Mapping

from aiohttp import web

from api.errors import BodyTooLarge, InvalidRequest, NotInAllowlist
from api.manifests import Manifest
from api.middleware import json_response, workspace_of
from api.names import parse_plugin_name
from api.plugins.install import Installer, Order
from api.plugins.listing import Installed, registry, with_record
from api.plugins.uninstall import Removal, Uninstaller
from api.requests import parse_flag, parse_install
from api.sources import Sources
from api.store.plugins import PluginRecord, PluginStore
from api.target import ContainerState, Targets
from api.turns import Turns
from shared.settings import Settings


class PluginHandlers:
    """Gates in their one order, then the work.

    Install: runtime (422), body, source, name, pin, container (503), allowlist (403), fetch and the rest.
    Uninstall: runtime (422), name, container (503), the rest.
    """

    def __init__(
        self,
        *,
        sources: Sources,
        targets: Targets,
        turns: Turns,
        store: PluginStore,
        installer: Installer,
        uninstaller: Uninstaller,
        installed: Installed,
        settings: Settings,
    ) -> None:
        self._sources = sources
        self._targets = targets
        self._turns = turns
        self._store = store
        self._installer = installer
        self._uninstaller = uninstaller
        self._installed = installed
        self._settings = settings

    async def registry(self, request: web.Request) -> web.Response:
        """What this host's registry offers, all of it or what suits a runtime."""
        plugins = await registry(self._settings.plugins_dir)
        return json_response(_shown(plugins, request.query.get("runtime")))

    async def sources(self, _request: web.Request) -> web.Response:
        """The schemes of sources that can be installed from."""
        return json_response({"schemes": self._sources.schemes})

    async def available(self, request: web.Request) -> web.Response:
        """What of the registry suits this workspace; everything where its runtime is not known."""
        runtime = await self._targets.runtime(workspace_of(request))
        return json_response(_shown(await registry(self._settings.plugins_dir), runtime))

    async def list_installed(self, request: web.Request) -> web.Response:
        """What is installed in the container, or what an external workspace has pulled."""
        workspace_id = workspace_of(request)
        runtime = await self._targets.runtime(workspace_id)
        records = await self._store.records(workspace_id)
        if self._targets.is_external(runtime):
            offered = await registry(self._settings.plugins_dir)
            pulled = [name for name, record in records.items() if record.pulled_at is not None]
            plugins = {name: offered.get(name, Manifest()) for name in pulled}
            return json_response(_installed(plugins, records, runtime))
        plugins, state = await self._installed.plugins(workspace_id)
        return _with_state(json_response(_installed(plugins, records, runtime)), state)

    async def compatibility(self, request: web.Request) -> web.Response:
        """Which installed plugins would suit another runtime; never said of what was not seen."""
        target = request.query.get("runtime", "").strip()
        if not target:
            raise InvalidRequest("runtime query parameter is required")
        workspace_id = workspace_of(request)
        if self._targets.is_external(await self._targets.runtime(workspace_id)):
            # Its plugins are where its agent is, and Docker is not asked about it.
            return json_response(_compatibility(target, {}, seen=False))
        plugins, state = await self._installed.plugins(workspace_id)
        return _with_state(json_response(_compatibility(target, plugins, seen=state == "running")), state)

    async def install(self, request: web.Request) -> web.Response:
        """Put a plugin into the workspace's container."""
        workspace_id = workspace_of(request)
        guarded = await self._targets.refuse_external(workspace_id, "install")
        asked = parse_install(await self._body(request))
        resolved = self._sources.resolve(asked.source)
        self._sources.require_pinned(resolved)
        order = Order(
            workspace_id=workspace_id, resolved=resolved, sha256=asked.sha256, restart=asked.restart
        )
        async with self._turns.announced(workspace_id):
            with guarded.hinting():
                await self._targets.container(workspace_id, guarded)
                if not await self._store.is_allowed(workspace_id, resolved.name):
                    raise NotInAllowlist(f'plugin "{resolved.name}" is not in the org allowlist')
                digest = await self._installer.install(order, guarded)
        return json_response(
            {
                "status": "installed",
                "plugin": resolved.name,
                "source": resolved.source,
                "digest": digest,
                "restarting": asked.restart,
            }
        )

    async def uninstall(self, request: web.Request) -> web.Response:
        """Take a plugin out of the workspace's container."""
        workspace_id = workspace_of(request)
        guarded = await self._targets.refuse_external(workspace_id, "uninstall")
        name = parse_plugin_name(request.match_info["name"])
        restart = parse_flag(request.query.get("restart"), name="restart", default=True)
        removal = Removal(workspace_id=workspace_id, plugin=name, restart=restart)
        async with self._turns.announced(workspace_id):
            with guarded.hinting():
                await self._targets.container(workspace_id, guarded)
                await self._uninstaller.uninstall(removal, guarded)
        return json_response({"status": "uninstalled", "plugin": name, "restarting": restart})

    async def _body(self, request: web.Request) -> bytes:
        limit = self._settings.plugin_install_body_max_bytes
        if (request.content_length or 0) > limit:
            raise BodyTooLarge
        body = bytearray()
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise BodyTooLarge
        return bytes(body)


def _shown(plugins: dict[str, Manifest], runtime: str | None) -> list[dict[str, object]]:
    return [m.described(name) for name, m in plugins.items() if not runtime or m.supports(runtime)]


def _installed(
    plugins: Mapping[str, Manifest], records: Mapping[str, PluginRecord], runtime: str | None
) -> list[dict[str, object]]:
    """What a list shows of these: their manifests, what was recorded, and whether the runtime suits them."""
    shown = []
    for name, manifest in plugins.items():
        one = with_record(manifest.described(name), records.get(name))
        if runtime is not None:
            one["supported_on_runtime"] = manifest.supports(runtime)
        shown.append(one)
    return shown


def _compatibility(target: str, plugins: dict[str, Manifest], *, seen: bool) -> dict[str, object]:
    suits = [m.described(name) for name, m in plugins.items() if m.supports(target)]
    others = [m.described(name) for name, m in plugins.items() if not m.supports(target)]
    return {
        "target_runtime": target,
        "compatible": suits,
        "incompatible": others,
        "all_compatible": not others if seen else None,
    }


def _with_state(response: web.Response, state: ContainerState) -> web.Response:
    response.headers["X-Container-State"] = state
    return response
