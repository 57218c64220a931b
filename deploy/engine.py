"""A Docker Engine of our own, beside whichever the machine has: for `deploy/run --demo` and for the tests.

It has its own data, socket, containerd and container network (none), asks no registry, and needs root.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from deploy.children import tied
from deploy.images import answers
from deploy.places import StartError, digest, make_directory, socket_directory

_LONGEST_SOCKET = "run/containerd/containerd.sock.ttrpc"  # of those that dockerd and containerd make


class PrivateEngine:
    """dockerd with its data below `directory`; `arguments` are further ones for dockerd.

    `prepare` comes first, `clean_up` last, when dockerd has ended.
    """

    def __init__(self, directory: Path, *, arguments: tuple[str, ...] = ()) -> None:
        self._directory = directory
        self._arguments = arguments

    def prepare(self) -> None:
        """Make what is missing, so that `command` can run. Raises StartError with a sentence."""
        program = shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin:/sbin:/usr/local/sbin")
        if program is None or os.geteuid() != 0:
            raise StartError("a private Docker Engine needs root and the program dockerd (package docker.io)")
        self._program = program
        self._directory = make_directory(self._directory)
        self._sockets = socket_directory(self._directory, _LONGEST_SOCKET)
        self._namespace = f"healthsweep-{digest(self._directory)}"
        self._pid_file = self._sockets / "dockerd.pid"
        if any(f"--pidfile={self._pid_file}" in arguments for _, arguments in _processes()):
            raise StartError(f"another dockerd runs on {self._directory}")
        self.clean_up()

    @property
    def command(self) -> list[str]:
        """The engine in the foreground. It ends, its containers too, with the process that asks for this."""
        own = {
            "--data-root": self._directory / "data",
            "--exec-root": self._sockets / "run",
            "--pidfile": self._pid_file,
            "--host": self.host,
            "--containerd-namespace": self._namespace,  # a system's containerd, where there is one, is shared
            "--containerd-plugins-namespace": f"{self._namespace}-plugins",
        }
        quiet = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--log-level=error"]
        options = [f"{option}={value}" for option, value in own.items()]
        dockerd = [self._program, *options, *quiet, *self._arguments]
        return tied(dockerd, death_signal="TERM")  # killed, it would leave its containers

    @property
    def log(self) -> Path:
        """A place for what dockerd, containerd and its shims write."""
        return self._directory / "log"

    @property
    def host(self) -> str:
        """What DOCKER_HOST must be."""
        return f"unix://{self._sockets}/docker.sock"

    def is_ready(self, _pid: int) -> bool:
        """Whether the engine answers."""
        return answers(self.host, seconds=0.2)

    def clean_up(self) -> None:
        """End what an engine that was killed leaves behind: containerd, shims, containers and mounts."""
        for pid in set(self._left_behind()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        below = (f"{self._directory}/", f"{self._sockets}/")
        mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for place in reversed([path for path in map(_unescaped, mounted) if path.startswith(below)]):
            subprocess.run(["umount", "--lazy", place], capture_output=True, check=False)
        for pid_file in (self._pid_file, self._sockets / "run/containerd/containerd.pid"):
            pid_file.unlink(missing_ok=True)  # or whoever has that pid by now would pass for its writer

    def _left_behind(self) -> Iterator[int]:
        containers = self._directory / "data" / "containers"
        ids = [path.name for path in containers.iterdir()] if containers.exists() else []
        for pid, arguments in _processes():
            groups = ""
            with contextlib.suppress(OSError):
                groups = Path(f"/proc/{pid}/cgroup").read_text()
            shim = self._namespace in arguments and "containerd-shim" in arguments[0]
            containerd = f"{self._sockets}/run/containerd/containerd.toml" in arguments
            if shim or containerd or any(container in groups for container in ids):
                yield pid


def _processes() -> Iterator[tuple[int, list[str]]]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield int(path.parent.name), os.fsdecode(path.read_bytes()).split("\0")


def _unescaped(place: str) -> str:
    """A path as mountinfo writes it, with spaces as \\040 (proc(5))."""
    return place.encode().decode("unicode_escape").encode("latin-1").decode()
