"""Reading a plugin from a directory: everything in it is looked at before anything is opened."""

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Self

from api.errors import ContentRefused
from api.trees import Entry, Listing, refuse_kind, shown

CHUNK_BYTES = 2**18

_SETTLED_NS = 2 * 10**9
"""A file system's clock can be this coarse: two changes within it may look like one."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Reader:
    """Reads the tree below `root`, and follows no link on the way, also not one that appears meanwhile.

    Entering raises OSError: FileNotFoundError, and NotADirectoryError for a link too.
    """

    def __init__(self, root: Path) -> None:
        self._root_path = root
        self._held = b""

    def __enter__(self) -> Self:
        self._root = os.open(self._root_path, _DIRECTORY)
        self._directory = os.dup(self._root)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._directory)
        os.close(self._root)

    def scan(self, listing: Listing) -> tuple[Entry, ...]:
        """Everything below the root, admitted by `listing`; no file is opened. Raises OSError."""
        for _ in self._walk(listing):
            pass
        return listing.entries()

    def signature(self, listing: Listing) -> str | None:
        """What is another text after any change below the root; None if the last one is too recent to tell.

        Raises what scan raises.
        """
        settled = time.time_ns() - _SETTLED_NS
        statuses = list(self._walk(listing))
        if any(status.st_ctime_ns > settled for _, status in statuses):
            return None
        seen = hashlib.sha256()
        for path, status in sorted(statuses, key=itemgetter(0)):
            seen.update(b"%d %d %d %d " % (status.st_ino, status.st_mode, status.st_size, status.st_ctime_ns))
            seen.update(b"%d:%s" % (len(path), path))
        return seen.hexdigest()

    def _walk(self, listing: Listing) -> Iterator[tuple[bytes, os.stat_result]]:
        pending = [b""]
        while pending:
            directory = pending.pop()
            descriptor = self._hold(directory)
            with os.scandir(descriptor) as found:
                for item in found:
                    name = os.fsencode(item.name)
                    path = directory + b"/" + name if directory else name
                    status = item.stat(follow_symlinks=False)
                    entry = listing.admit(path, status.st_mode, status.st_size, links=status.st_nlink)
                    if entry.is_directory:
                        pending.append(path)
                    yield path, status

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """The content of a file, at most 256 KiB at once.

        Exactly `entry.size` bytes. Raises ContentRefused if it is not what was listed any more.
        """
        path = entry.path.encode()
        parent, _, name = path.rpartition(b"/")
        left = entry.size
        with _opened(name, self._hold(parent)) as descriptor:
            while left >= 0 and (chunk := os.read(descriptor, CHUNK_BYTES)):
                left -= len(chunk)
                if left >= 0:
                    yield chunk
        if left:
            raise ContentRefused("file that changed while it was read", entry.path)

    def first_bytes(self, name: str, most: int) -> bytes:
        """The first `most` bytes of the file `name` in the root. Raises OSError, ContentRefused."""
        with _opened(name.encode(), self._root) as descriptor:
            return os.read(descriptor, most)

    def _hold(self, directory: bytes) -> int:
        """An open descriptor of `directory`, kept until another one is asked for."""
        if directory == self._held:
            return self._directory
        descriptor = os.dup(self._root)
        for name in directory.split(b"/") if directory else ():
            try:
                below = os.open(name, _DIRECTORY, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = below
        os.close(self._directory)
        self._directory, self._held = descriptor, directory
        return descriptor


@contextmanager
def _opened(name: bytes, directory: int) -> Iterator[int]:
    """The regular file `name`, for reading. Raises OSError, and ContentRefused for anything else."""
    descriptor = os.open(name, _FILE, dir_fd=directory)
    try:
        status = os.fstat(descriptor)
        refuse_kind(name, status.st_mode, status.st_nlink)
        if not stat.S_ISREG(status.st_mode):
            raise ContentRefused("directory in the place of a file", shown(name))
        yield descriptor
    finally:
        os.close(descriptor)
