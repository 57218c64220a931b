"""What can be done to the plugins of one running container, by something that cannot ask for its state."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from api.errors import CopyFailed, InvalidPluginName, LacksShell, NotWritable
from api.manifests import MAX_LISTED_BYTES
from api.names import is_plugin_name
from api.plugins import scripts
from shared.engine import Executed
from shared.running import Running

SCRIPT_S = 60.0
UPLOAD_S = 300.0
RESTART_S = 120.0
_MAX_OUTPUT = 16 * 2**20
_READ_AT_ONCE = 256  # an argument vector has a bound, too
_TEXTS = ".texts"  # staged like a plugin, but no plugin's name
_FRAME = re.compile(rb"file (\d{1,9}) (\d{1,9})\n")
_LISTED = re.compile(r" *(\d{1,12}) ([^/\n]+)/plugin\.yaml")


class Tools(Protocol):
    """What of the engine is needed: it copies, runs and restarts."""

    async def execute(
        self, container_id: str, arguments: Sequence[str], *, seconds: float, max_output: int
    ) -> Executed: ...
    async def upload(self, container_id: str, directory: str, archive: Path, *, seconds: float) -> None: ...
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

    async def put(self, name: str, archive: Path) -> bytes:
        """Make the content of the uncompressed tar `archive` the live tree of `name`; its manifest read back.

        Killed at any point the old tree or the new one is live, or, between two renames, neither, and the
        next request puts the old one back.
        """
        return await self._run(scripts.SWAP, name, await self._stage(name, archive))

    async def _stage(self, name: str, archive: Path) -> str:
        """Unpack `archive` in a fresh staging directory; its name. Who fails afterwards must `clean`."""
        staging = secrets.token_hex(8)
        directory = f"/configs/plugins/.staging/{staging}/new/{name}"
        await self._run(scripts.PREPARE, name, name.lower(), staging)
        await self._tools.upload(self._id, directory, archive, seconds=UPLOAD_S)
        return staging

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

    async def replace_claude_md(self, texts: Path) -> bool:
        """Make `after` of the tar `texts` the content of CLAUDE.md; False if it is not `before` any more."""
        ended = await self._execute(scripts.EDIT, _TEXTS, await self._stage(_TEXTS, texts))
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
