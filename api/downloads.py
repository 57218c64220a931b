"""Archives for agents that pull: built once, whole before the first byte, kept on disk within a bound.

An archive is found by the signature of its source, and stored under the sha256 of its bytes. The least
recently used one goes when the bound is reached. The index is in memory, so the directory is emptied at
start, by who makes it.
"""

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from api.archives import Tree, pack_gzip
from api.plugins.install import Fetcher
from api.sources import Resolved, Sources
from api.storage import storage_errors


@dataclass(frozen=True, slots=True)
class Archive:
    """A built archive: where it lies, and what it is. `etag` changes when a byte does."""

    path: Path
    etag: str
    size_bytes: int
    plugin_digest: str


class ArchiveCache:
    """Builds archives, one builder at a time for each source, and keeps `max_bytes` of them."""

    def __init__(self, *, fetcher: Fetcher, sources: Sources, directory: Path, max_bytes: int) -> None:
        self._fetcher = fetcher
        self._sources = sources
        self._directory = directory
        self._max_bytes = max_bytes
        self._archives: OrderedDict[str, Archive] = OrderedDict()
        self._building: dict[str, asyncio.Task[Archive]] = {}

    async def opened(self, resolved: Resolved) -> tuple[Archive, BinaryIO]:
        """The archive of this plugin as it is at its source now, and its file; the caller closes that.

        Raises what Fetcher.fetched raises. Who asks while it is being built waits for the same build, and
        a build goes on when whoever asked first has gone.
        """
        while True:
            archive = await self._archive(resolved)
            try:
                return archive, archive.path.open("rb")
            except FileNotFoundError:  # the least recently used already
                continue

    async def _archive(self, resolved: Resolved) -> Archive:
        signature = await self._sources.signature(resolved)
        key = f"{resolved.source} {signature}"
        if signature is not None and (known := self._archives.get(key)) is not None and known.path.exists():
            self._archives.move_to_end(key)
            return known
        if signature is None and key in self._building:
            # That build may have read what has changed since: the next one is for all who come during it.
            with suppress(Exception):
                await asyncio.shield(self._building[key])
        if (task := self._building.get(key)) is None:
            task = self._building[key] = asyncio.create_task(self._build(resolved, signature))
            task.add_done_callback(lambda _: self._building.pop(key, None))
        return await asyncio.shield(task)

    async def _build(self, resolved: Resolved, signature: str | None) -> Archive:
        async with self._fetcher.fetched(resolved) as fetched:
            digest = await fetched.digest
            with storage_errors():
                archive = await asyncio.to_thread(self._pack, fetched.tree, digest)
        if signature is None or await self._sources.signature(resolved) != signature:
            signature = archive.etag  # under which nobody looks for it: it is for those who wait
        key = f"{resolved.source} {signature}"
        self._archives[key] = archive
        self._archives.move_to_end(key)
        self._evict()
        return archive

    def _pack(self, tree: Tree, digest: str) -> Archive:
        self._directory.mkdir(parents=True, exist_ok=True)
        unfinished = self._directory / f"unfinished.{secrets.token_hex(8)}"
        try:
            with unfinished.open("w+b") as file:
                pack_gzip(tree, file)
                file.seek(0)
                content = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
            path = unfinished.rename(self._directory / f"{content}.tar.gz")
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        return Archive(path, content[:32], size, digest)

    def _evict(self) -> None:
        """Drop the least recently used until the rest fits, but never the last one."""
        while len(self._archives) > 1 and self._size() > self._max_bytes:
            _, oldest = self._archives.popitem(last=False)
            if oldest.path not in {archive.path for archive in self._archives.values()}:
                oldest.path.unlink(missing_ok=True)

    def _size(self) -> int:
        return sum({archive.path: archive.size_bytes for archive in self._archives.values()}.values())
