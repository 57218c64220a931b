"""A real Podman of the tests' own; what it has in common with dockerd, and its containers: engine.py."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from deploy.children import tied
from tests.support.engine import Container, ContainerState, RealEngine, until


class PodmanEngine(RealEngine):
    """Podman's Docker-compatible socket, with storage and settings of our own."""

    states = ("created", "running", "paused", "exited", "restarting", "missing")

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        program = shutil.which("podman")
        if program is None:
            raise RuntimeError("Podman is not installed: apt-get install podman")
        self._program = program
        self._settings = directory / "containers.conf"
        self._settings.write_text(_PODMAN_SETTINGS)

    @property
    def host(self) -> str:
        return f"unix://{self.directory}/podman.sock"

    def command(self) -> Sequence[str]:
        places = [f"--{place}={self.directory / place}" for place in ("root", "runroot", "tmpdir")]
        service = [self._program, *places, "system", "service", "--time=0", self.host]
        return tied(["env", f"CONTAINERS_CONF={self._settings}", *service], death_signal="KILL")

    async def _bring_into(self, container: Container, state: ContainerState) -> None:
        if state == "restarting":
            await until(container, lambda seen: seen["RestartCount"] >= 2)
        else:
            await super()._bring_into(container, state)


# Without these, a container's limits are above those of this process, crun is wanted, systemd is asked for
# cgroups, journald for events, and locks are shared with any other Podman of the machine.
_PODMAN_SETTINGS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
"""
