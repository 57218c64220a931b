"""Nothing stays behind, however the tests end.

`private_directory()` is where a run of the tests keeps everything: sockets, data, engines. Whatever
mentions that directory in its command line or its environment belongs to the run: dockerd, containerd,
shims, conmon, PostgreSQL, the services under test, and all their descendants. When the run ends, even by
SIGKILL, a guardian process (this module, run as a program) ends them, unmounts and removes the rest.
"""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.processes import CHECKOUT

_CGROUPS = Path("/sys/fs/cgroup")
_FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS, _FS_IMMUTABLE = 0x80086601, 0x40086602, 0x10  # linux/fs.h
_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
_TRIES = 3
_OWN_TIME = 0.5  # for those who end by themselves, tied to the process that has died


@contextlib.contextmanager
def private_directory() -> Iterator[Path]:
    """A new directory with a short path, for a unix socket's is at most 107 bytes long."""
    directory = Path(tempfile.mkdtemp(prefix="hs-", dir="/tmp"))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.remains"],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,  # it ends when we do, and that is how the guardian knows
        start_new_session=True,
        text=True,
    ) as guardian:
        print(directory, file=guardian.stdin, flush=True)
        yield directory


def remove(directory: Path) -> None:
    """End every process that belongs to `directory`, unmount what is below it, and delete it."""
    cgroups: set[Path] = set()
    while processes := belonging(directory):
        cgroups.update(path for pid in processes for path in _cgroups_of(pid))
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for cgroup in cgroups:  # with cgroups of version 1, nothing frozen can die
            with contextlib.suppress(OSError):
                (cgroup / "freezer.state").write_text("THAWED")
        time.sleep(0.05)
    for cgroup in cgroups:
        with contextlib.suppress(OSError):
            cgroup.rmdir()
    _unmount_below(directory)
    for _ in range(_TRIES):
        shutil.rmtree(directory, ignore_errors=True)
        for path in directory.rglob("*"):  # what made itself anew meanwhile, or is immutable for a test
            if path.is_file() and not path.is_symlink():
                set_immutable(path, immutable=False)


def set_immutable(path: Path, *, immutable: bool) -> None:
    """chattr +i or -i, which not every machine has: nobody can delete an immutable file."""
    with path.open() as file:
        flags: int = struct.unpack("l", fcntl.ioctl(file, _FS_IOC_GETFLAGS, struct.pack("l", 0)))[0]
        flags = flags | _FS_IMMUTABLE if immutable else flags & ~_FS_IMMUTABLE
        fcntl.ioctl(file, _FS_IOC_SETFLAGS, struct.pack("l", flags))


def belonging(directory: Path) -> set[int]:
    """The pids that belong to `directory`, those of the asking process and its ancestors aside."""
    mark = re.compile(re.escape(os.fsencode(directory)) + rb"(?![^/\0:, ])")
    parents = living()
    found: set[int] = set()
    for pid in parents:
        with contextlib.suppress(OSError):
            place = Path(f"/proc/{pid}")
            if mark.search((place / "cmdline").read_bytes() + (place / "environ").read_bytes()):
                found |= {pid, *descendants(pid, parents)}
    own = os.getpid()
    while own:
        found.discard(own)
        own = parents.get(own, 0)
    return found


def descendants(pid: int, parents: Mapping[int, int] | None = None) -> list[int]:
    """The living children of `pid`, their children, and so on; `parents` is what `/proc` says, if known."""
    parents = living() if parents is None else parents
    found = [pid]
    for ancestor in found:
        found += [child for child, parent in parents.items() if parent == ancestor]
    return found[1:]


def living() -> dict[int, int]:
    """Every process but the dead ones, with its parent."""
    parents: dict[int, int] = {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # after the program's name, which may hold anything: the state and the parent, see proc(5)
            state, parent = (place / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(place.name)] = int(parent)
    return parents


def _cgroups_of(pid: int) -> Iterator[Path]:
    """The cgroups that were made for the container of this process, if it is in one."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            hierarchy = _CGROUPS / (controllers.removeprefix("name=") or "unified")
            if _CONTAINER_ID.search(path):
                yield (hierarchy if hierarchy.exists() else _CGROUPS) / path.strip("/")


def _unmount_below(directory: Path) -> None:
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for place in reversed([path for path in mounted if path.startswith(f"{directory}/")]):
        subprocess.run(["umount", "--lazy", place], check=False)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    directory = Path(sys.stdin.read().rstrip("\n"))
    if belonging(directory):
        time.sleep(_OWN_TIME)
    remove(directory)


if __name__ == "__main__":
    main()
