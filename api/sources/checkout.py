"""From a commit to files, without a working tree: the tree is looked at first, then its blobs are written."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from api.errors import ContentRefused, FetchFailed
from api.reading import CHUNK_BYTES
from api.sources.base import Limits
from api.sources.git import Git
from api.trees import Entry, Listing, shown

_MAX_RECORD_BYTES = 2**16
_MAX_HEADER_BYTES = 128
_SUBMODULE = 0o160000
_EXECUTABLE = 0o111


def check_out(git: Git, commit: str, into: Path, limits: Limits) -> None:
    """Write the files of `commit` into `into` exactly as they were committed. Blocks.

    A submodule is an empty directory, as in a clone without submodules. Raises ContentRefused,
    PluginTooLarge, FetchFailed, OSError.
    """
    listing = Listing(max_bytes=limits.max_bytes, max_files=limits.max_files)
    blobs: dict[str, bytes] = {}
    command = ("ls-tree", "-r", "-t", "-z", "-l", "--full-tree", f"{commit}^{{commit}}")
    with git.reading(*command) as output:
        for record in _records(output):
            entry, blob = _admitted(listing, record)
            if not entry.is_directory:
                blobs[entry.path] = blob
    entries = listing.entries()
    with TemporaryFile(dir=git.work) as wanted:  # not a pipe: git would wait for us while we wait for git
        wanted.writelines(blobs[entry.path] + b"\n" for entry in entries if not entry.is_directory)
        wanted.seek(0)
        with git.reading("cat-file", "--batch", stdin=wanted) as output:
            for entry in entries:
                if entry.is_directory:
                    (into / entry.path).mkdir(0o755)
                else:
                    _write(output, entry, blobs[entry.path], into / entry.path)


def _records(output: BinaryIO) -> Iterator[bytes]:
    rest = b""
    while chunk := output.read(CHUNK_BYTES):
        *records, rest = (rest + chunk).split(b"\0")
        yield from records
        if len(rest) > _MAX_RECORD_BYTES:
            raise ContentRefused("over-long name", shown(rest))


def _admitted(listing: Listing, record: bytes) -> tuple[Entry, bytes]:
    """The entry of `mode type object size TAB path`, and its object. Git's modes are those of stat(2)."""
    attributes, _, path = record.partition(b"\t")
    octal, _, blob, size = attributes.split()
    mode = int(octal, 8)
    if b".git" in path.lower().split(b"/"):
        raise ContentRefused("name that is git's own", shown(path))
    if stat.S_ISDIR(mode) or mode == _SUBMODULE:
        mode = stat.S_IFDIR | 0o755
    elif stat.S_ISREG(mode):
        mode = stat.S_IFREG | (0o755 if mode & _EXECUTABLE else 0o644)
    return listing.admit(path, mode, int(size) if size.isdigit() else 0), blob


def _write(output: BinaryIO, entry: Entry, blob: bytes, target: Path) -> None:
    """The next object that git prints, as a file."""
    if output.readline(_MAX_HEADER_BYTES) != b"%s blob %d\n" % (blob, entry.size):
        raise FetchFailed
    left = entry.size
    with target.open("xb", buffering=0) as file:
        while left:
            chunk = output.read(min(left, CHUNK_BYTES))
            if not chunk:
                raise FetchFailed
            file.write(chunk)
            left -= len(chunk)
        os.fchmod(file.fileno(), entry.mode)
    output.read(1)
