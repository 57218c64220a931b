"""Fetching from a registry in tests, and what can stand in a file's place there."""

import os
import socket
import stat
from pathlib import Path

import pytest

from api.sources import Limits, Sources
from api.sources.local import LocalSource

LIMITS = Limits(max_bytes=2**20, max_files=1000, timeout=20)
FEW = Limits(max_bytes=2**20, max_files=100, timeout=20)
SECRET = b"the host's own"


async def fetch(registry: Path, into: Path, *, name: str = "plugin", limits: Limits = LIMITS) -> None:
    sources = Sources([LocalSource(registry)], allow_unpinned=False)
    await sources.fetch(sources.resolve(name), into, limits)


def state(directory: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(directory)): (
            stat.S_IMODE(path.stat().st_mode),
            path.read_bytes() if path.is_file() else b"",
        )
        for path in directory.rglob("*")
    }


def a_symlink(path: Path, secret: Path) -> None:
    path.symlink_to(secret)


def a_relative_symlink(path: Path, _: Path) -> None:
    path.symlink_to("plugin.yaml")


def a_symlinked_directory(path: Path, secret: Path) -> None:
    path.symlink_to(secret.parent, target_is_directory=True)


def a_dangling_symlink(path: Path, secret: Path) -> None:
    path.symlink_to(secret.with_name("nowhere"))


def a_hard_link(path: Path, secret: Path) -> None:
    path.hardlink_to(secret)


def a_pipe(path: Path, _: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path, _: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        descriptor = os.open(path.parent, os.O_PATH)
        listener.bind(f"/proc/self/fd/{descriptor}/{path.name}")  # the whole path would be too long
        os.close(descriptor)


def a_device(path: Path, _: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("making a device takes root")
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero: endless
