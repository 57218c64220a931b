"""A plugin that was fetched: checked, identified, and made into the two archives that leave this host."""

import gzip
import hashlib
import tarfile
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The checked content of the directory `root`, which nobody else writes to."""

    root: Path
    entries: tuple[Entry, ...]
    digest: str
    size_bytes: int
    manifest: Manifest
    plugin_yaml: bytes
    plugin_yaml_sha256: str | None


def check_tree(root: Path, *, max_bytes: int, max_files: int) -> Tree:
    """Check everything below `root` against every rule, and read each file once. Blocks.

    Raises ContentRefused (also for a plugin.yaml that is no YAML), PluginTooLarge, IntegrityFailed.
    """
    with Reader(root) as reader:
        listing = Listing(max_bytes=max_bytes, max_files=max_files)
        entries = reader.scan(listing)
        declared = _declared(reader, entries)
        platform_sum = PlatformSum() if declared is not None else None
        hashes: dict[str, str] = {}
        plugin_yaml = b""
        for entry in _files(entries):
            content = hashlib.sha256()
            counted = platform_sum if entry.path != MANIFEST_JSON else None
            if counted:
                counted.begin(entry.path)
            for chunk in reader.chunks(entry):
                content.update(chunk)
                if counted:
                    counted.update(chunk)
                if entry.path == PLUGIN_YAML and len(plugin_yaml) <= MAX_LISTED_BYTES:
                    plugin_yaml += chunk
            hashes[entry.path] = content.hexdigest()
    tree = Tree(
        root=root,
        entries=entries,
        digest=tree_digest((entry.path, entry.mode, hashes[entry.path]) for entry in _files(entries)),
        size_bytes=listing.size_bytes,
        manifest=_manifest(plugin_yaml),
        plugin_yaml=plugin_yaml,
        plugin_yaml_sha256=hashes.get(PLUGIN_YAML),
    )
    if platform_sum and declared is not None:
        platform_sum.check(declared)
    return tree


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


def spool_tar(tree: Tree, target: Path) -> None:
    """Write the tree as an uncompressed tar, the agent's own. Blocks; raises OSError."""
    with target.open("wb") as file:
        _write_tar(tree, file, owner=_AGENT)


def pack_gzip(tree: Tree, file: BinaryIO) -> None:
    """Write the tree as a .tar.gz of root's, the same bytes for the same tree. Blocks; raises OSError."""
    with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed:
        _write_tar(tree, packed, owner=_ROOT)


def _write_tar(tree: Tree, sink: BinaryIO | gzip.GzipFile, *, owner: int) -> None:
    with Reader(tree.root) as reader:
        for entry in tree.entries:
            member = tarfile.TarInfo(entry.path)
            member.type = tarfile.DIRTYPE if entry.is_directory else tarfile.REGTYPE
            member.size, member.mode, member.uid, member.gid = entry.size, entry.mode, owner, owner
            sink.write(member.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict"))
            if not entry.is_directory:
                for chunk in reader.chunks(entry):
                    sink.write(chunk)
                sink.write(bytes(-entry.size % tarfile.BLOCKSIZE))
        sink.write(_TAR_END)


def _files(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    return tuple(entry for entry in entries if not entry.is_directory)


def _declared(reader: Reader, entries: tuple[Entry, ...]) -> str | None:
    """The sum that a manifest.json in the root declares. Raises IntegrityFailed."""
    found = next((entry for entry in _files(entries) if entry.path == MANIFEST_JSON), None)
    if found is None:
        return None
    if found.size > _MAX_MANIFEST_JSON_BYTES:
        raise IntegrityFailed(hint=f"a manifest.json has at most {_MAX_MANIFEST_JSON_BYTES} bytes")
    return declared_sum(b"".join(bytes(chunk) for chunk in reader.chunks(found)))


def _manifest(plugin_yaml: bytes) -> Manifest:
    try:
        return manifest(plugin_yaml)
    except ManifestError as exc:
        raise ContentRefused(f"plugin.yaml that cannot be read, {exc}", PLUGIN_YAML) from exc
