"""A plugin that was fetched: checked, identified, and made into the two archives that leave this host."""

import gzip
import hashlib
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from api.digests import PlatformSum, declared_sum, tree_digest
from api.errors import ContentRefused, IntegrityFailed
from api.manifests import MAX_LISTED_BYTES, PLUGIN_YAML, Manifest, ManifestError, manifest
from api.reading import Reader
from api.trees import Entry, Listing

MANIFEST_JSON = "manifest.json"

_MAX_MANIFEST_JSON_BYTES = 2**20
_AGENT, _ROOT = 1000, 0
_TAR_END = bytes(2 * tarfile.BLOCKSIZE)
_PIECE_BYTES = 2**18


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The checked content of the directory `root`, which nobody else writes to."""

    root: Path
    entries: tuple[Entry, ...]
    size_bytes: int
    manifest: Manifest
    plugin_yaml: bytes
    plugin_yaml_sha256: str | None


def check_tree(root: Path, *, max_bytes: int, max_files: int) -> Tree:
    """Check everything below `root` against every rule. Blocks.

    Raises ContentRefused (also for a plugin.yaml that is no YAML), PluginTooLarge, IntegrityFailed.
    """
    with Reader(root) as reader:
        listing = Listing(max_bytes=max_bytes, max_files=max_files)
        entries = reader.scan(listing)
        _check_declared(reader, entries)
        plugin_yaml, plugin_yaml_sha256 = _plugin_yaml(reader, entries)
    return Tree(
        root=root,
        entries=entries,
        size_bytes=listing.size_bytes,
        manifest=_manifest(plugin_yaml),
        plugin_yaml=plugin_yaml,
        plugin_yaml_sha256=plugin_yaml_sha256,
    )


def digest_of(tree: Tree) -> str:
    """What identifies the tree: the digest of every file's path, mode and content. Blocks."""
    with Reader(tree.root) as reader:
        return tree_digest((entry.path, entry.mode, _sha256(reader, entry)) for entry in _files(tree.entries))


def check_sha256(tree: Tree, expected: str | None, *, source: str) -> None:
    """Raises IntegrityFailed unless plugin.yaml has the sha256 `expected`, in any case; None: not asked."""
    if expected is None:
        return
    if tree.plugin_yaml_sha256 is None:
        raise IntegrityFailed("sha256 check failed: plugin.yaml not found in staged plugin", source=source)
    if tree.plugin_yaml_sha256 != expected.lower():
        raise IntegrityFailed(
            f"sha256 mismatch: expected {expected}, got {tree.plugin_yaml_sha256}", source=source
        )


def pack_gzip(tree: Tree, file: BinaryIO) -> None:
    """Write the tree as a .tar.gz of root's, the same bytes for the same tree. Blocks; raises OSError."""
    with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed:
        for piece in _tar(tree, owner=_ROOT):
            packed.write(piece)


def pieces_of_tar(tree: Tree, below: str) -> Iterator[bytes]:
    """The tree as an uncompressed tar of the agent's own, which unpacks into the directory `below`.

    In pieces of some 256 KiB. Each blocks; raises OSError, ContentRefused.
    """
    waiting: list[bytes] = []
    size = 0
    for piece in _tar(tree, owner=_AGENT, below=below):
        waiting.append(piece)
        size += len(piece)
        if size >= _PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def pieces_of_texts(texts: Mapping[str, bytes], below: str) -> Iterator[bytes]:
    """Texts by their names, which the agent alone may read, as such a tar."""
    for name, content in texts.items():
        yield _header(Entry(name, len(content), 0o600, is_directory=False), f"{below}/{name}", _AGENT)
        yield content + _padding(len(content))
    yield _TAR_END


def directory_header(path: str, *, owner: int = _ROOT) -> bytes:
    """The member of a tar that makes the directory `path`."""
    return _header(Entry(path, 0, 0o755, is_directory=True), path, owner)


def _tar(tree: Tree, *, owner: int, below: str = "") -> Iterator[bytes]:
    """The tar of a tree; in a directory `below`, with a member for that, if it is named."""
    if below:
        yield directory_header(below, owner=owner)
    with Reader(tree.root) as reader:
        for entry in tree.entries:
            yield _header(entry, f"{below}/{entry.path}" if below else entry.path, owner)
            if not entry.is_directory:
                yield from reader.chunks(entry)
                yield _padding(entry.size)
    yield _TAR_END


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


def _header(entry: Entry, path: str, owner: int) -> bytes:
    member = tarfile.TarInfo(path)
    member.type = tarfile.DIRTYPE if entry.is_directory else tarfile.REGTYPE
    member.size, member.mode, member.uid, member.gid = entry.size, entry.mode, owner, owner
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def _files(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    return tuple(entry for entry in entries if not entry.is_directory)


def _named(entries: tuple[Entry, ...], path: str) -> Entry | None:
    return next((entry for entry in _files(entries) if entry.path == path), None)


def _sha256(reader: Reader, entry: Entry) -> str:
    content = hashlib.sha256()
    for chunk in reader.chunks(entry):
        content.update(chunk)
    return content.hexdigest()


def _check_declared(reader: Reader, entries: tuple[Entry, ...]) -> None:
    """Raises IntegrityFailed where a manifest.json in the root declares another sum, or is none."""
    if (found := _named(entries, MANIFEST_JSON)) is None:
        return
    if found.size > _MAX_MANIFEST_JSON_BYTES:
        raise IntegrityFailed(hint=f"a manifest.json has at most {_MAX_MANIFEST_JSON_BYTES} bytes")
    declared = declared_sum(b"".join(reader.chunks(found)))
    if declared is None:
        return
    total = PlatformSum()
    for entry in _files(entries):
        if entry != found:
            total.begin(entry.path)
            for chunk in reader.chunks(entry):
                total.update(chunk)
    total.check(declared)


def _plugin_yaml(reader: Reader, entries: tuple[Entry, ...]) -> tuple[bytes, str | None]:
    """The beginning of plugin.yaml, a byte more than a manifest may have, and the sha256 of all of it."""
    if (found := _named(entries, PLUGIN_YAML)) is None:
        return b"", None
    return reader.first_bytes(PLUGIN_YAML, MAX_LISTED_BYTES + 1), _sha256(reader, found)


def _manifest(plugin_yaml: bytes) -> Manifest:
    try:
        return manifest(plugin_yaml)
    except ManifestError as exc:
        raise ContentRefused(f"plugin.yaml that cannot be read, {exc}", PLUGIN_YAML) from exc
