"""Files of this host: the registry of plugins, and room on the disk."""

import asyncio
import os
import shutil
from pathlib import Path

from api.manifests import MAX_LISTED_BYTES, PLUGIN_YAML, ManifestError, manifest
from api.names import is_plugin_name
from deploy.command.doctor.finding import Finding, counted, failed, ok, warning
from deploy.handbook import Entry
from shared.settings import Settings

_STAGES = 2
"""An install may hold a plugin twice for a moment: as it was fetched, and packed."""


async def registry(settings: Settings) -> Finding:
    """The directory of plugins is there, and all in it can be installed."""
    return await asyncio.to_thread(_registry, settings.plugins_dir)


def _registry(directory: Path) -> Finding:
    try:
        names = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
    except FileNotFoundError:
        return failed(f"{directory} is not there", f"mkdir --parents {directory}", Entry.INSTALL_FAILED)
    except OSError as exc:
        mend = f"let the service's user read it: chmod a+rx {directory}"
        return failed(f"{directory} cannot be read: {exc.strerror}", mend, Entry.INSTALL_FAILED)
    plugins = [name for name in names if not name.startswith(".")]
    broken = [f"{name} ({problem})" for name in plugins if (problem := _problem(directory / name))]
    if broken:
        says = f"{len(broken)} of {len(plugins)} plugins cannot be used: {', '.join(broken[:3])}"
        return warning(says, f"correct what is in {directory}", Entry.INSTALL_FAILED)
    return ok(f"{counted(len(plugins), 'plugin')} in {directory}")


def _problem(plugin: Path) -> str | None:
    if not is_plugin_name(plugin.name):
        return "no name for a plugin"
    try:
        with (plugin / PLUGIN_YAML).open("rb") as file:
            manifest(file.read(MAX_LISTED_BYTES + 1))
    except FileNotFoundError:
        return None  # it need not have one
    except (ManifestError, OSError) as exc:
        return f"{PLUGIN_YAML}: {exc.strerror if isinstance(exc, OSError) else exc}"
    return None


async def disk(settings: Settings) -> Finding:
    """There is room for the plugins that are fetched, and for the cache of downloads."""
    return await asyncio.to_thread(_disk, settings)


def _disk(settings: Settings) -> Finding:
    home = settings.healthsweep_home
    place = next((each for each in (home, *home.parents) if each.exists()), Path("/"))
    free = shutil.disk_usage(place).free
    needed = _STAGES * settings.plugin_install_max_dir_bytes
    says = f"{_mib(free)} MiB free for {home}"
    if free < needed:
        mend = f"make room: du --one-file-system --max-depth=2 {place} | sort -n | tail"
        return failed(f"{says}, and an install may need {_mib(needed)} MiB", mend, Entry.INSTALL_FAILED)
    cache = home / "cache"
    growth = settings.cache_max_bytes - sum(
        each.stat().st_size for each in cache.rglob("*") if each.is_file()
    )
    if free < needed + growth:
        mend = f"make room, or set CACHE_MAX_BYTES to less than {settings.cache_max_bytes}"
        return warning(f"{says}, and the cache of downloads may grow by {_mib(growth)} MiB", mend)
    return ok(says)


def _mib(size: int) -> int:
    return size >> 20
