"""Putting a plugin into a container: fetch, check, upload, swap, restart.

Nothing that was not checked is uploaded, nothing is live before it is whole, and what was staged, here or
in the container, is gone afterwards.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import structlog

from api.archives import Tree, check_sha256, check_tree, spool_tar
from api.errors import ApiError, CopyFailed, StorageFull
from api.plugins.container import PluginContainer, Tools
from api.sources import Limits, Resolved, Sources
from api.storage import full_disk_is
from api.store.plugins import PluginStore
from api.target import Guarded, Targets
from api.turns import Turns
from shared.errors import ContainerMissing, DatabaseUnavailable, EngineError

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be installed where. `sha256`, of plugin.yaml, is checked if it is given."""

    workspace_id: UUID
    resolved: Resolved
    sha256: str | None
    restart: bool


@dataclass(frozen=True, slots=True)
class Installed:
    """What was installed. `restarting`: a restart of the container is ordered."""

    plugin: str
    source: str
    digest: str
    restarting: bool


class Fetcher:
    """Brings plugins to this host, checked, into private directories that vanish."""

    def __init__(self, *, sources: Sources, limits: Limits, directory: Path) -> None:
        self._sources = sources
        self._limits = limits
        self._directory = directory

    @asynccontextmanager
    async def fetched(self, resolved: Resolved) -> AsyncIterator[tuple[Tree, Path]]:
        """The checked tree, and a directory for what is made of it; both are gone afterwards.

        Raises what Sources.fetch and check_tree raise, and StorageFull.
        """
        with full_disk_is(StorageFull):
            staging = TemporaryDirectory(dir=self._directory, prefix=f"{resolved.name}.")
        try:
            tree_directory = Path(staging.name) / "tree"
            with full_disk_is(StorageFull):
                tree_directory.mkdir()
            await self._sources.fetch(resolved, tree_directory, self._limits)
            yield await self._checked(tree_directory, resolved), Path(staging.name)
        finally:
            await asyncio.to_thread(staging.cleanup)

    async def _checked(self, directory: Path, resolved: Resolved) -> Tree:
        limits = self._limits
        try:
            return await asyncio.to_thread(
                check_tree, directory, max_bytes=limits.max_bytes, max_files=limits.max_files
            )
        except ApiError as refused:
            refused.keys.setdefault("source", resolved.source)
            raise


class Installer:
    """Installs into running containers."""

    def __init__(
        self, *, fetcher: Fetcher, targets: Targets, tools: Tools, turns: Turns, store: PluginStore
    ) -> None:
        self._fetcher = fetcher
        self._targets = targets
        self._tools = tools
        self._turns = turns
        self._store = store

    async def install(self, order: Order, guarded: Guarded) -> Installed:
        """Fetch, check and deliver; the error that says what kept it from being installed otherwise."""
        started = time.perf_counter()
        resolved = order.resolved
        try:
            async with self._fetcher.fetched(resolved) as (tree, directory):
                check_sha256(tree, order.sha256, source=resolved.source)
                archive = directory / "plugin.tar"
                with full_disk_is(StorageFull):
                    await asyncio.to_thread(spool_tar, tree, archive)
                await self._deliver(order, guarded, archive)
        except ApiError as refused:
            log.warning(
                "plugin.install_failed",
                workspace_id=str(order.workspace_id),
                plugin=resolved.name,
                source=resolved.source,
                step=type(refused).__name__,
                code=refused.code,
            )
            raise
        await self._record(order, tree)
        log.info(
            "plugin.installed",
            workspace_id=str(order.workspace_id),
            plugin=resolved.name,
            source=resolved.source,
            digest=tree.digest,
            size_bytes=tree.size_bytes,
            duration_ms=round((time.perf_counter() - started) * 1000),
            restarting=order.restart,
        )
        return Installed(resolved.name, resolved.source, tree.digest, order.restart)

    async def _deliver(self, order: Order, guarded: Guarded, archive: Path) -> None:
        async with self._turns.turn(order.workspace_id) as turn:
            container = await self._targets.container(order.workspace_id, guarded)
            plugins = PluginContainer(self._tools, container)
            async with honest(self._targets, order.workspace_id, guarded, otherwise=CopyFailed()):
                await plugins.put(order.resolved.name, archive)
            if order.restart:
                turn.restart_with(restarting(plugins, order.workspace_id))

    async def _record(self, order: Order, tree: Tree) -> None:
        """The plugin is delivered: that the note about it could not be made does not change that."""
        resolved = order.resolved
        try:
            await self._store.record_install(
                order.workspace_id,
                name=resolved.name,
                source=resolved.source,
                digest=tree.digest,
                size_bytes=tree.size_bytes,
            )
        except DatabaseUnavailable:
            log.warning(
                "plugin.record_failed",
                workspace_id=str(order.workspace_id),
                plugin=resolved.name,
                step="record",
                code="platform_unavailable",
            )


@asynccontextmanager
async def honest(
    targets: Targets, workspace_id: UUID, guarded: Guarded, *, otherwise: ApiError
) -> AsyncIterator[None]:
    """What fails inside because the container or the engine went away says so; `otherwise` if neither did."""
    try:
        yield
    except (EngineError, ContainerMissing) as exc:
        await targets.container(workspace_id, guarded)
        raise otherwise from exc
    except CopyFailed:
        await targets.container(workspace_id, guarded)  # a script that is killed with its container fails
        raise


def restarting(plugins: PluginContainer, workspace_id: UUID) -> Callable[[], Awaitable[None]]:
    """The restart that is ordered: the answer has been given by then, so a failure is for the log."""

    async def restart() -> None:
        try:
            await plugins.restart()
        except (EngineError, ContainerMissing) as exc:
            log.warning("container.restart_failed", workspace_id=str(workspace_id), detail=str(exc))

    return restart
