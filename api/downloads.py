"""Archives for agents that pull: built once, whole before the first byte, kept on disk within a bound.

An archive is found by the signature of its source, and stored under the sha256 of its bytes. The least
recently used one goes when the bound is reached. What an earlier process left is dropped at start: its
index is gone.
"""

import asyncio
import hashlib
import secrets
import shutil
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from api.archives import Tree, pack_gzip
from api.errors import StorageFull
from api.plugins.install import Fetcher
from api.sources import Resolved, Sources
from api.storage import full_disk_is


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

    def clear(self) -> None:
        """Drop everything that lies in the directory; at start."""
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True)

    async def archive(self, resolved: Resolved) -> Archive:
        """The archive of this plugin as it is at its source now.

        Raises what Fetcher.fetched raises. Who asks while it is being built waits for the same build, and
        a build goes on when whoever asked first has gone.
        """
        signature = await self._sources.signature(resolved)
        key = f"{resolved.source} {signature}"
        if signature is not None and (known := self._archives.get(key)) is not None and known.path.exists():
            self._archives.move_to_end(key)
            return known
        if (task := self._building.get(key)) is None:
            task = self._building[key] = asyncio.create_task(self._build(resolved))
            task.add_done_callback(lambda _: self._building.pop(key, None))
        archive = await asyncio.shield(task)
        if signature is not None and await self._sources.signature(resolved) == signature:
            self._archives[key] = archive
            self._archives.move_to_end(key)
        self._evict(keep=archive)
        return archive

    async def _build(self, resolved: Resolved) -> Archive:
        async with self._fetcher.fetched(resolved) as (tree, _):
            with full_disk_is(StorageFull):
                return await asyncio.to_thread(self._pack, tree)

    def _pack(self, tree: Tree) -> Archive:
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
        return Archive(path, content[:32], size, tree.digest)

    def _evict(self, *, keep: Archive) -> None:
        """Drop the least recently used, and what no key leads to, until the rest fits.

        Whoever sends one of them has it open, and ends undisturbed.
        """
        wanted = {archive.path for archive in self._archives.values()} | {keep.path}
        for path in self._directory.glob("*.tar.gz"):
            if path not in wanted:
                path.unlink(missing_ok=True)
        while self._archives and self._size() > self._max_bytes:
            _, oldest = self._archives.popitem(last=False)
            if oldest.path not in {archive.path for archive in self._archives.values()} | {keep.path}:
                oldest.path.unlink(missing_ok=True)

    def _size(self) -> int:
        return sum({archive.path: archive.size_bytes for archive in self._archives.values()}.values())
