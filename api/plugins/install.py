"""Putting a plugin into a container: fetch, check, upload, swap, restart.

Nothing that was not checked is uploaded, nothing is live before it is whole, and what was staged, here or
in the container, is gone afterwards.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import structlog

from api.archives import Tree, check_sha256, check_tree, digest_of, pieces_of_tar
from api.errors import ApiError, ContentRefused, CopyFailed, InternalError, PlatformUnavailable
from api.plugins.container import PluginContainer, Tools
from api.sources import Limits, Resolved, Sources
from api.storage import storage_errors
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
class Fetched:
    """A checked tree, and its digest, which is worked out meanwhile."""

    tree: Tree
    digest: Awaitable[str]


class Fetcher:
    """Brings plugins to this host, checked, into private directories that vanish."""

    def __init__(self, *, sources: Sources, limits: Limits, directory: Path) -> None:
        self._sources = sources
        self._limits = limits
        self._directory = directory

    @asynccontextmanager
    async def fetched(self, resolved: Resolved) -> AsyncIterator[Fetched]:
        """The checked tree, which is gone afterwards.

        Raises what Sources.fetch and check_tree raise, and StorageFull.
        """
        with storage_errors():
            self._directory.mkdir(parents=True, mode=0o700, exist_ok=True)
            staging = TemporaryDirectory(dir=self._directory, prefix=f"{resolved.name}.")
        try:
            tree_directory = Path(staging.name) / "tree"
            with storage_errors():
                tree_directory.mkdir()
            await self._sources.fetch(resolved, tree_directory, self._limits)
            tree = await self._checked(tree_directory, resolved)
            digesting = asyncio.create_task(asyncio.to_thread(digest_of, tree))
            try:
                yield Fetched(tree, digesting)
            finally:
                await asyncio.wait([digesting])
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

    async def install(self, order: Order, guarded: Guarded) -> str:
        """Fetch, check and deliver; the digest of what was. However else this ends, the log says so."""
        started = time.perf_counter()
        resolved = order.resolved
        about = {
            "workspace_id": str(order.workspace_id),
            "plugin": resolved.name,
            "source": resolved.source,
        }
        step = "stage"  # on this host, until it is in the container that something changes
        try:
            async with self._fetcher.fetched(resolved) as fetched:
                check_sha256(fetched.tree, order.sha256, source=resolved.source)
                step = "deliver"
                await self._deliver(order, guarded, fetched)
                tree, digest = fetched.tree, await fetched.digest
        except BaseException as exc:
            log.warning(
                "plugin.install_failed", step=step, code=_code(exc), detail=_what_docker_said(exc), **about
            )
            raise
        await self._record(order, tree, digest)
        log.info(
            "plugin.installed",
            digest=digest,
            size_bytes=tree.size_bytes,
            duration_ms=round((time.perf_counter() - started) * 1000),
            restarting=order.restart,
            **about,
        )
        return digest

    async def _deliver(self, order: Order, guarded: Guarded, fetched: Fetched) -> None:
        """Make the tree the live one; its digest is known before."""
        name = order.resolved.name
        async with self._turns.turn(order.workspace_id) as turn:
            container = await self._targets.container(order.workspace_id, guarded)
            plugins = PluginContainer(self._tools, container)
            work = Work(workspace_id=order.workspace_id, plugin=name, step="deliver", otherwise=CopyFailed())
            async with honest(work, plugins, self._targets, guarded):
                staging = await plugins.stage(name, partial(pieces_of_tar, fetched.tree))
                await fetched.digest
                manifest = await plugins.swap(name, staging)
            if manifest != fetched.tree.plugin_yaml:
                raise CopyFailed(hint="the plugin.yaml that was read back is not the one that was sent")
            if order.restart:
                turn.restart_with(restarting(plugins, order.workspace_id))

    async def _record(self, order: Order, tree: Tree, digest: str) -> None:
        """The plugin is delivered: that the note about it could not be made does not change that."""
        resolved = order.resolved
        try:
            await self._store.record_install(
                order.workspace_id,
                name=resolved.name,
                source=resolved.source,
                digest=digest,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is done to a container's plugins; `otherwise` is said if it fails while the container runs."""

    workspace_id: UUID
    plugin: str
    step: str
    otherwise: ApiError


@asynccontextmanager
async def honest(
    work: Work, plugins: PluginContainer, targets: Targets, guarded: Guarded
) -> AsyncIterator[None]:
    """Take back what failed inside, and say why it did: the container or the engine may have gone away."""
    try:
        yield
    except (EngineError, ContainerMissing, CopyFailed, ContentRefused, OSError) as exc:
        if not isinstance(exc, EngineError) or exc.reason == "refused":  # else who knows whether it answers
            with suppress(EngineError, ContainerMissing, CopyFailed):  # left to the next request
                await plugins.clean()
                log.warning(
                    "plugin.rolled_back",
                    workspace_id=str(work.workspace_id),
                    plugin=work.plugin,
                    step=work.step,
                    code=_code(work.otherwise if isinstance(exc, EngineError | ContainerMissing) else exc),
                )
        if isinstance(exc, ContentRefused | OSError):  # what was fetched cannot be read: this host's doing
            raise
        await targets.container(work.workspace_id, guarded)
        if isinstance(exc, CopyFailed):
            raise
        raise work.otherwise from exc


def _what_docker_said(exc: BaseException) -> str | None:
    """Why, where it was an answer of the engine's: the client is told no more than a code."""
    return str(exc.__cause__) if isinstance(exc.__cause__, EngineError) else None


def _code(exc: BaseException) -> str:
    match exc:
        case ApiError():
            return exc.code
        case DatabaseUnavailable():
            return PlatformUnavailable.code
        case asyncio.CancelledError():
            return "cancelled"
        case _:
            return InternalError.code


def restarting(plugins: PluginContainer, workspace_id: UUID) -> Callable[[], Awaitable[None]]:
    """The restart that is ordered: the answer has been given by then, so a failure is for the log."""

    async def restart() -> None:
        try:
            await plugins.restart()
        except (EngineError, ContainerMissing, asyncio.CancelledError) as exc:
            log.warning(
                "container.restart_failed", workspace_id=str(workspace_id), detail=str(exc) or "the api ended"
            )
            if isinstance(exc, asyncio.CancelledError):
                raise

    return restart
