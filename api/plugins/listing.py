"""Which plugins there are: in the registry of this host, in a container, or pulled by an agent."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

import structlog

from api.errors import CopyFailed
from api.manifests import Manifest, read_manifest
from api.plugins.container import InstalledPlugin, PluginContainer, Tools
from api.sources.local import registered_plugins
from api.store.plugins import PluginRecord
from api.target import ContainerState, Targets
from api.turns import Turns
from shared.errors import ContainerMissing, EngineError

log = structlog.get_logger()


async def registry(directory: Path) -> dict[str, Manifest]:
    """The plugins in this host's registry, by name; none, and a line in the log, if there is no registry."""
    try:
        return await asyncio.to_thread(registered_plugins, directory)
    except OSError as exc:
        log.warning("registry.unreadable", problem=exc.strerror or type(exc).__name__)
        return {}


class Installed:
    """What is installed in containers. Soft: no answer of Docker's makes a list an error."""

    def __init__(self, *, targets: Targets, tools: Tools, turns: Turns) -> None:
        self._targets = targets
        self._tools = tools
        self._turns = turns

    async def plugins(self, workspace_id: UUID) -> tuple[dict[str, Manifest], ContainerState]:
        """The plugins in the workspace's container, and which of the three outcomes was behind that.

        An empty list means nothing unless the container runs. Raises DatabaseUnavailable.
        """
        await self._turns.quiet(workspace_id)
        container, state = await self._targets.container_if_running(workspace_id)
        if container is None:
            return {}, state
        try:
            found = await self._read(workspace_id, PluginContainer(self._tools, container))
        except (EngineError, ContainerMissing, CopyFailed) as exc:
            # It may have gone away after it was found running: ask once more, which also says so in the log.
            _, state = await self._targets.container_if_running(workspace_id)
            if state == "running":
                log.warning("plugin.list_failed", workspace_id=str(workspace_id), detail=_why(exc))
            return {}, "unknown" if state == "running" else state
        return await asyncio.to_thread(_manifests, found), "running"

    async def _read(self, workspace_id: UUID, container: PluginContainer) -> Iterable[InstalledPlugin]:
        plugins = await container.plugins()
        if plugins is None:  # an install was killed between its two renames: finish it first
            async with self._turns.turn(workspace_id):
                await container.clean()
                plugins = await container.plugins()
        return plugins or ()


def _manifests(plugins: Iterable[InstalledPlugin]) -> dict[str, Manifest]:
    """Their manifests by name. Blocks: what a container says of itself can be long."""
    return {plugin.name: read_manifest(plugin.manifest) for plugin in plugins}


def _why(exc: Exception) -> str:
    return exc.code if isinstance(exc, CopyFailed) else str(exc)


def with_record(shown: dict[str, object], record: PluginRecord | None) -> dict[str, object]:
    """What a client reads of an installed plugin, with what was recorded when it was delivered."""
    if record is None:
        return shown
    recorded = {
        "source": record.source,
        "digest": record.digest,
        "installed_at": record.installed_at,
        "pulled_at": record.pulled_at,
    }
    return shown | {key: value for key, value in recorded.items() if value is not None}
