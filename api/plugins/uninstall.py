"""Taking a plugin out of a container: its text in CLAUDE.md, its skills, and last its tree."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import structlog

from api.errors import CopyFailed, PluginNotInstalled, RemoveFailed
from api.manifests import read_manifest
from api.plugins.claude_md import block_files, without_blocks
from api.plugins.container import InstalledPlugin, PluginContainer, Tools
from api.plugins.install import Work, honest, restarting
from api.store.plugins import PluginStore
from api.target import Guarded, Targets
from api.turns import Turns
from shared.errors import DatabaseUnavailable

log = structlog.get_logger()

_CLAUDE_MD = "/configs/CLAUDE.md"
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What is to be taken out of where."""

    workspace_id: UUID
    plugin: str
    restart: bool


class Uninstaller:
    """Uninstalls from running containers."""

    def __init__(self, *, targets: Targets, tools: Tools, turns: Turns, store: PluginStore) -> None:
        self._targets = targets
        self._tools = tools
        self._turns = turns
        self._store = store

    async def uninstall(self, removal: Removal, guarded: Guarded) -> None:
        """Remove the plugin. A repeated call finishes what an earlier one could not.

        Raises PluginNotInstalled, RemoveFailed, and what Targets.container raises.
        """
        started = time.perf_counter()
        workspace_id = removal.workspace_id
        async with self._turns.turn(workspace_id) as turn:
            container = await self._targets.container(workspace_id, guarded)
            plugins = PluginContainer(self._tools, container)
            try:
                work = Work(
                    workspace_id=workspace_id, plugin=removal.plugin, step="remove", otherwise=RemoveFailed()
                )
                async with honest(work, plugins, self._targets, guarded):
                    await self._remove(plugins, removal.plugin)
            except CopyFailed as exc:
                raise RemoveFailed from exc
            if removal.restart:
                turn.restart_with(restarting(plugins, workspace_id))
        await self._forget(removal)
        log.info(
            "plugin.uninstalled",
            workspace_id=str(workspace_id),
            plugin=removal.plugin,
            duration_ms=round((time.perf_counter() - started) * 1000),
            restarting=removal.restart,
        )

    async def _remove(self, plugins: PluginContainer, name: str) -> None:
        await plugins.clean()
        installed = {plugin.name: plugin for plugin in await plugins.plugins() or ()}
        if name not in installed:
            raise PluginNotInstalled
        for _ in range(_TRIES):
            if await self._edit_claude_md(plugins, name):
                break
        else:
            raise RemoveFailed
        skills = await asyncio.to_thread(_own_skills, installed, name)
        if not await plugins.remove(name, skills):
            raise PluginNotInstalled

    async def _edit_claude_md(self, plugins: PluginContainer, name: str) -> bool:
        """Take the plugin's blocks out; False if somebody else wrote CLAUDE.md at the same moment."""
        before = (await plugins.read([_CLAUDE_MD])).get(_CLAUDE_MD, b"")
        text = before.decode(errors="surrogateescape")
        blocks = block_files(text, name)
        if not blocks:
            return True
        paths = {file: f"/configs/plugins/{name}/{file}" for file in blocks.values()}
        installed = await plugins.read(list(paths.values()))
        after = without_blocks(
            text,
            {
                marker: content.decode(errors="surrogateescape") if content is not None else None
                for marker, file in blocks.items()
                for content in [installed.get(paths[file])]
            },
        ).encode(errors="surrogateescape")
        return await plugins.replace_claude_md(before, after)

    async def _forget(self, removal: Removal) -> None:
        try:
            await self._store.forget(removal.workspace_id, removal.plugin)
        except DatabaseUnavailable:
            log.warning(
                "plugin.record_failed",
                workspace_id=str(removal.workspace_id),
                plugin=removal.plugin,
                step="forget",
                code="platform_unavailable",
            )


def _own_skills(installed: Mapping[str, InstalledPlugin], name: str) -> list[str]:
    """The skills that this plugin alone names; names that are none could reach anywhere. Blocks."""
    skills = {
        plugin: set(read_manifest(found.manifest).valid_skills()) for plugin, found in installed.items()
    }
    others = set().union(*(theirs for plugin, theirs in skills.items() if plugin != name))
    return sorted(skills[name] - others)
