"""A bare Debian, made once and kept below .cache/: a new host, with what an installer asks for at hand.

It has systemd and hardly more. A test's machine has no network, so what `deploy/install` asks for is there
and not yet installed: packages in apt's own cache, wheels where PIP_FIND_LINKS says.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import CHECKOUT

RELEASE, PYTHON = "bookworm", "3.11"
WHEELS = "/mnt/wheels"
"""Where a machine finds them."""

_CACHE = CHECKOUT / ".cache" / "systemd"
_ASKED_FOR = "python3-venv ca-certificates git postgresql"
_BARE = "systemd,systemd-sysv,dbus,procps,python3"
_AT_HAND = f"""
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install --download-only -y --no-install-recommends {_ASKED_FOR}
"""


def bare_debian() -> Path:
    """The root of the machine, to be laid under something that takes the writes."""
    return _kept(f"{RELEASE} {_BARE} {_AT_HAND}", _make_debian)


def wheels() -> Path:
    """The product's dependencies, as constraints.txt pins them."""
    pins = CHECKOUT / "deploy" / "constraints.txt"
    return _kept(f"{PYTHON} {_dependencies()} {pins.read_text()}", _download_wheels)


def _make_debian(directory: Path) -> None:
    _run("debootstrap", "--variant=minbase", f"--include={_BARE}", RELEASE, str(directory))
    _run("chroot", str(directory), "sh", "-c", _AT_HAND)


def _download_wheels(directory: Path) -> None:
    pins = str(CHECKOUT / "deploy" / "constraints.txt")
    which = ["--only-binary=:all:", f"--python-version={PYTHON}", "--constraint", pins]
    _run(sys.executable, "-m", "pip", "-q", "download", *which, "--dest", str(directory), *_dependencies())


def _dependencies() -> list[str]:
    dependencies: list[str] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"][
        "dependencies"
    ]
    return dependencies


def _kept(recipe: str, make: Callable[[Path], None]) -> Path:
    """The directory that `make` makes, or has made of the same recipe."""
    name = f"{make.__name__.rpartition('_')[2]}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    place = _CACHE / name
    with _alone():
        if not place.exists():
            unfinished = _CACHE / f"{name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(place)
    return place


@contextmanager
def _alone() -> Iterator[None]:
    """Two runs of the tests take turns."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(_CACHE, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _run(*command: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {ended.stdout[-2000:]}{ended.stderr[-2000:]}")
