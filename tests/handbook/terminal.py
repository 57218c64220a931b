"""A terminal on a stage: the commands of a page, as somebody would type them."""

import asyncio
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.situations.scene import Scene, Workspace
from tests.support.processes import CHECKOUT, service_environment

_SECONDS = 120.0
_END = "--- the end of a block ---"


@dataclass(frozen=True, slots=True)
class Terminal:
    """`healthsweep` and `docker` are those of the stage; the working directory is a new one."""

    environment: Mapping[str, str]
    directory: Path

    async def runs(self, blocks: Sequence[str]) -> list[str]:
        """What each block prints, all in one shell. Raises AssertionError where a command fails."""
        script = "".join(f"{block}\necho; echo {shlex.quote(_END)}\n" for block in blocks)
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", script),
            cwd=self.directory,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(_SECONDS):
            output, _ = await process.communicate()
        printed = output.decode().split(f"\n{_END}\n")
        assert process.returncode == 0, f"{blocks[len(printed) - 1]}\nprinted {printed[-1]}"
        return printed[:-1]

    def with_path(self, programs: Path) -> "Terminal":
        """One that finds these programs first."""
        path = f"{programs}:{self.environment['PATH']}"
        return Terminal({**self.environment, "PATH": path}, self.directory)


def terminal(scene: Scene, workspace: Workspace, **environment: str) -> Terminal:
    """One in which the variables that the handbook uses are set, for this workspace."""
    programs = scene.place / "bin"
    programs.mkdir(exist_ok=True)
    healthsweep = programs / "healthsweep"
    call = f'cd {CHECKOUT} && exec {sys.executable} -m deploy.command "$@"'
    healthsweep.write_text(f"#!/bin/sh\n{call}\n")
    healthsweep.chmod(0o755)
    working = scene.place / "working"
    working.mkdir(exist_ok=True)
    own = {
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "NAME": workspace.name,
        "ID": workspace.id,
        "URL": scene.api.url,
        "ADMIN_TOKEN": scene.api.admin_token,
        "AGENT_TOKEN": workspace.token,
    }
    return Terminal(service_environment({**scene.environment, **own, **environment}), working)
