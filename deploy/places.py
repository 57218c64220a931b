"""Where things may lie: directories that we make, and sockets, whose paths must be short."""

import hashlib
import os
import stat
from pathlib import Path

from shared.errors import HealthsweepError

_LONGEST_SOCKET = 104  # bytes; unix(7) leaves 107, containerd wants no more than this


class StartError(HealthsweepError):
    """Something on this machine is in the way; the text is a sentence that says what, and what to do."""


def make_directory(path: Path) -> Path:
    """`path` as an absolute one, made if it is missing and then readable for its owner alone."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path.resolve()
    except OSError as problem:
        raise StartError(f"the directory {path} cannot be made: {problem.strerror}") from problem


def digest(path: Path) -> str:
    """A short name for `path` that stays the same, to tell two homes apart where names must be short."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def socket_directory(preferred: Path, longest_name: str, *, owner: int | None = None) -> Path:
    """`preferred` where a socket of `longest_name` fits below it, else a private one of `owner` in /tmp.

    A comma counts as too long, because PostgreSQL and its clients read it as the end of a path. Raises
    StartError where somebody else was in /tmp before us.
    """
    if "," not in str(preferred) and len(os.fsencode(preferred / longest_name)) <= _LONGEST_SOCKET:
        return make_directory(preferred)
    directory = Path("/tmp") / f"healthsweep-{digest(preferred)}"  # noqa: S108 - checked below
    owner = os.geteuid() if owner is None else owner
    try:
        directory.mkdir(mode=0o700)
        os.chown(directory, owner, -1)
    except FileExistsError:
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or stat.S_IMODE(found.st_mode) & 0o077:
            raise StartError(f"{directory} must be a private directory of uid {owner}: remove it") from None
    return directory
