"""`local://name`: a directory of the registry on this host, PLUGINS_DIR."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import ClassVar

from api.errors import ContentRefused, NotAtSource
from api.manifests import MAX_LISTED_BYTES, PLUGIN_YAML, Manifest, read_manifest
from api.names import is_plugin_name, parse_plugin_name
from api.reading import Reader
from api.sources.base import MAX_FILES, Limits, Resolved, in_thread
from api.trees import Listing


class LocalSource:
    """Copies a plugin out of the registry. A link is never followed, not even one to the plugin itself."""

    scheme: ClassVar[str] = "local"

    def __init__(self, registry: Path) -> None:
        self._registry = registry

    def resolve(self, spec: str) -> Resolved:
        """The spec is the plugin's name. Raises InvalidPluginName."""
        return Resolved(scheme=self.scheme, spec=spec, name=parse_plugin_name(spec), pinned=True)

    async def fetch(self, resolved: Resolved, into: Path, limits: Limits) -> None:
        """Copy content and modes. Raises NotAtSource, PluginTooLarge, ContentRefused, OSError."""
        stop = threading.Event()
        await in_thread(
            partial(_copy, self._registry / resolved.name, into, limits, stop.is_set), cancel=stop.set
        )

    async def signature(self, resolved: Resolved) -> str | None:
        """Of every path, inode, size, mode and change time in the directory."""
        return await asyncio.to_thread(_signature, self._registry / resolved.name)


def registered_plugins(registry: Path) -> dict[str, Manifest]:
    """The plugins in the registry by their names, sorted; a broken plugin.yaml has empty fields. Blocks.

    Left out is what cannot be installed for its name or for being no directory. Raises OSError if there is
    no registry.
    """
    plugins = {}
    for name in sorted(filter(is_plugin_name, os.listdir(registry))):  # noqa: PTH208 - names, not paths
        try:
            with Reader(registry / name) as reader:
                plugins[name] = Manifest()
                content = reader.first_bytes(PLUGIN_YAML, MAX_LISTED_BYTES + 1)
        except (OSError, ContentRefused):
            continue
        plugins[name] = read_manifest(content)
    return plugins


def _signature(directory: Path) -> str | None:
    with Reader(directory) as reader:
        return reader.signature(Listing(max_bytes=sys.maxsize, max_files=MAX_FILES))


def _copy(directory: Path, into: Path, limits: Limits, stopped: Callable[[], bool]) -> None:
    """Look at everything before the first file is opened, then copy it, until `stopped`."""
    with ExitStack() as stack:
        try:
            reader = stack.enter_context(Reader(directory))
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise NotAtSource(hint="GET /plugins lists what is in the registry of this host") from exc
        entries = reader.scan(Listing(max_bytes=limits.max_bytes, max_files=limits.max_files))
        for entry in entries:
            target = into / entry.path
            if entry.is_directory:
                target.mkdir()
                continue
            with target.open("xb", buffering=0) as file:
                for chunk in reader.chunks(entry):
                    if stopped():
                        return
                    file.write(chunk)
                os.fchmod(file.fileno(), entry.mode)
        for entry in reversed(entries):  # last: a directory may be one that nothing can be put into
            if entry.is_directory:
                (into / entry.path).chmod(entry.mode)
