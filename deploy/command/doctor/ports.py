"""Who listens at a port of this host, as the kernel tells it (proc(5))."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

_LISTENING = "0A"


def holder(port: int) -> str | None:
    """The program and its pid; None where nobody listens, or we may not see who."""
    wanted = {f"socket:[{inode}]" for inode in _inodes(port)}
    for process in Path("/proc").glob("[0-9]*") if wanted else ():
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            if any(str(file.readlink()) in wanted for file in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return None


def _inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):  # a kernel without IPv6
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]
