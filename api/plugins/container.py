"""What can be done to the plugins of one running container, by something that cannot ask for its state."""

import asyncio
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import NoReturn, Protocol

from api.archives import directory_header, pieces_of_texts
from api.errors import CopyFailed, InvalidPluginName, LacksShell, NotWritable
from api.manifests import MAX_LISTED_BYTES
from api.names import is_plugin_name
from api.plugins import scripts
from shared.engine import Executed
from shared.errors import EngineError
from shared.running import Running

SCRIPT_S = 60.0
UPLOAD_S = 300.0
RESTART_S = 120.0
_MAX_OUTPUT = 16 * 2**20
_READ_AT_ONCE = 256  # an argument vector has a bound, too
_PLUGINS = "/configs/plugins"
_STAGING = f"{_PLUGINS}/.staging"
_TEXTS = ".texts"  # staged like a plugin, but no plugin's name
_FRAME = re.compile(rb"file (\d{1,9}) (\d{1,9})\n")
_LISTED = re.compile(r" *(\d{1,12}) ([^/\n]+)/plugin\.yaml")


class Tools(Protocol):
    """What of the engine is needed: it copies, runs and restarts."""

    async def execute(
        self, container_id: str, arguments: Sequence[str], *, seconds: float, max_output: int
    ) -> Executed: ...
    async def has_path(self, container_id: str, path: str) -> bool: ...
    async def upload(
        self, container_id: str, directory: str, tar: Iterable[bytes], *, seconds: float
    ) -> None: ...
    async def restart(self, container_id: str, *, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """A plugin's directory in the container, and the bytes of its manifest, at most 64 KiB."""

    name: str
    manifest: bytes


class PluginContainer:
    """The plugins of one container, by its id. Methods raise EngineError, ContainerMissing and CopyFailed."""

    def __init__(self, tools: Tools, container: Running) -> None:
        self._tools = tools
        self._id = container.container_id

    async def stage(self, name: str, tar: Callable[[str], Iterable[bytes]]) -> str:
        """Unpack what `tar` has for a directory into a fresh one of `name`; the staging's name.

        Whoever fails from here on must `clean`.
        """
        if not await self._is_ready():
            await self._run(scripts.PREPARE)
            if await self._tools.has_path(self._id, _STAGING):
                raise NotWritable(hint="a mount hides where uploads arrive from the container's own programs")
        staging = secrets.token_hex(8)
        own = f".staging/{staging}"
        pieces = chain([directory_header(f"{own}/old")], tar(f"{own}/new/{name}"))
        try:
            await self._tools.upload(self._id, _PLUGINS, pieces, seconds=UPLOAD_S)
        except EngineError as exc:
            if exc.reason == "refused":
                await self._run(scripts.PREPARE)  # it knows why, if nothing can be written
            raise
        return staging

    async def _is_ready(self) -> bool:
        """Whether an upload can begin at once. A program in the container takes ten times longer to tell."""
        try:
            shell, plugins, staging = await asyncio.gather(
                *(self._tools.has_path(self._id, path) for path in ("/bin/sh", _PLUGINS, _STAGING))
            )
        except EngineError as exc:
            if exc.reason != "refused":
                raise
            return False  # such as a file in the place of a directory
        return shell and plugins and not staging

    async def swap(self, name: str, staging: str) -> bytes:
        """Make what was staged the live tree of `name`; its manifest read back.

        Killed at any point the old tree or the new one is live, or, between two renames, neither, and the
        next request puts the old one back.
        """
        return await self._run(scripts.SWAP, name, scripts.in_any_case(name), staging)

    async def plugins(self) -> list[InstalledPlugin] | None:
        """What is installed, in one exec; None when a swap was broken off, and `clean` must come first."""
        ended = await self._execute(scripts.LIST)
        if ended.exit_code == scripts.CHANGED_MEANWHILE:
            return None
        return _listed(self._checked(ended))

    async def read(self, paths: Sequence[str]) -> dict[str, bytes]:
        """The contents of those of `paths` that are regular files of at most 1 MiB."""
        contents = {}
        for start in range(0, len(paths), _READ_AT_ONCE):
            some = paths[start : start + _READ_AT_ONCE]
            by_number = {str(number): path for number, path in enumerate(some)}
            for number, content in _frames(await self._run(scripts.READ, *some)):
                if number not in by_number:
                    raise CopyFailed
                contents[by_number[number]] = content
        return contents

    async def replace_claude_md(self, before: bytes, after: bytes) -> bool:
        """Make `after` the content of CLAUDE.md; False if it is not `before` any more."""
        staging = await self.stage(_TEXTS, partial(pieces_of_texts, {"before": before, "after": after}))
        ended = await self._execute(scripts.EDIT, _TEXTS, staging)
        if ended.exit_code == scripts.CHANGED_MEANWHILE:
            return False
        self._checked(ended)
        return True

    async def remove(self, name: str, skills: Sequence[str]) -> bool:
        """Remove the skills and the tree; False if it was not installed."""
        ended = await self._execute(scripts.REMOVE, name, *skills)
        if ended.exit_code == scripts.NOT_INSTALLED:
            return False
        self._checked(ended)
        return True

    async def clean(self) -> None:
        """Finish what an earlier request could not, and drop its traces."""
        await self._run(scripts.CLEAN)

    async def restart(self) -> None:
        """Restart the container."""
        await self._tools.restart(self._id, seconds=RESTART_S)

    async def _run(self, script: str, *arguments: str) -> bytes:
        return self._checked(await self._execute(script, *arguments))

    async def _execute(self, script: str, *arguments: str) -> Executed:
        return await self._tools.execute(
            self._id, scripts.shell(script, *arguments), seconds=SCRIPT_S, max_output=_MAX_OUTPUT
        )

    def _checked(self, ended: Executed) -> bytes:
        if ended.exit_code == 0:
            return ended.output
        return _refuse(ended.exit_code)


def _refuse(exit_code: int) -> NoReturn:
    if exit_code in scripts.MISSING_PROGRAM:
        raise LacksShell
    if exit_code == scripts.NOT_WRITABLE:
        raise NotWritable
    if exit_code == scripts.NAME_DIFFERS_IN_CASE:
        raise InvalidPluginName(detail="a plugin is installed whose name differs only by case")
    raise CopyFailed


def _listed(output: bytes) -> list[InstalledPlugin]:
    """What LIST wrote. Raises CopyFailed when a manifest changed between its size and its content."""
    if not output:
        return []
    head, separator, contents = output.partition(b"contents\n")
    plugins = []
    position = 0
    for size, name in _LISTED.findall(head.decode(errors="replace")):
        end = position + min(int(size), MAX_LISTED_BYTES)
        if is_plugin_name(name):
            plugins.append(InstalledPlugin(name, contents[position:end]))
        position = end
    if not separator or position != len(contents):
        raise CopyFailed
    return sorted(plugins, key=lambda plugin: plugin.name)


def _frames(output: bytes) -> list[tuple[str, bytes]]:
    """The pairs in what READ wrote. Raises CopyFailed when a file changed under its frame."""
    frames = []
    position = 0
    while position < len(output):
        if (head := _FRAME.match(output, position)) is None:
            raise CopyFailed
        middle = head.end() + int(head[1])
        position = middle + int(head[2])
        if position > len(output):
            raise CopyFailed
        name = output[head.end() : middle].decode(errors="replace")
        frames.append((name, output[middle:position]))
    return frames
