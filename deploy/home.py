"""$HEALTHSWEEP_HOME of a running product: who holds it, and the file that tells other terminals about it."""

import contextlib
import fcntl
import os
import re
import secrets
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from deploy.places import StartError, make_directory
from shared.errors import SettingsError

_LAST_RUN_SECONDS = (
    20.0  # then go on: who is still there is what PostgreSQL and the engine look for themselves
)
_NEEDS_QUOTES = re.compile(r"[^\w@%+=:,./?-]")


def lock_home(home: Path) -> IO[str]:
    """Hold `home` while the answer stays open. Raises StartError, with the pid of whoever holds it."""
    lock = (make_directory(home) / "supervisor.pid").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise StartError(f"already running on {home} (pid {lock.read().strip()})") from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def wait_for_last_run(home: Path) -> int:
    """A file descriptor for every child to inherit, answered once no child of an earlier run holds it.

    A supervisor that was killed takes its children with it, but they may need a moment: the next run would
    meet their ports, and the shutdown of PostgreSQL.
    """
    children = os.open(home / "children.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _LAST_RUN_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(children, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        time.sleep(0.02)
    return children


def read_environment(home: Path) -> dict[str, str]:
    """What the file `env` below `home` says; nothing if it is not there. Raises SettingsError."""
    try:
        return read_variables(home / "env")
    except ValueError as exc:
        raise SettingsError("HEALTHSWEEP_HOME", f"has a file env that cannot be read: {exc}") from exc


def read_variables(file: Path) -> dict[str, str]:
    """The lines NAME=value of `file`, as a shell or systemd reads them; nothing if it is not there.

    Raises ValueError where a quote is not closed.
    """
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError:
        return {}
    pairs = [line.partition("=") for line in lines if "=" in line and not line.startswith("#")]
    return {name: " ".join(shlex.split(value)) for name, _, value in pairs}


def write_environment(home: Path, values: Mapping[str, str]) -> None:
    """Replace the file `env` below `home`, in one step: nobody reads half of it, its owner alone reads it."""
    lines = [f"{name}={_quoted(value)}\n" for name, value in values.items()]
    unfinished = home / "env.unfinished"
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(home / "env")


def kept_token(home: Path) -> str:
    """The administrator's token of the last run on `home`, or a new one."""
    return read_environment(home).get("ADMIN_TOKEN") or secrets.token_urlsafe(32)


def _quoted(value: str) -> str:
    return shlex.quote(value) if _NEEDS_QUOTES.search(value) else value
