"""The reference's inspects, made by Docker's own client: servers in Go use it.

It is measured to see whether the reference suffers from being Python.
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.cost import Cost, Meter


@dataclass(frozen=True, slots=True)
class GoClient:
    """The command `docker` at `program`, for the engine at `host`."""

    program: str
    host: str

    async def cost(self, meter: Meter, names: Sequence[str]) -> Cost:
        """What it costs to inspect `names`, one after the other; the program's start is subtracted."""
        start = await meter.cost(lambda: self._inspect(names[:1]))
        return await meter.cost(lambda: self._inspect(names)) - start

    async def _inspect(self, names: Sequence[str]) -> None:
        process = await asyncio.create_subprocess_exec(
            *(self.program, "container", "inspect", "--format", "{{.State.Running}}", *names),
            env={"DOCKER_HOST": self.host, "HOME": "/nonexistent", "PATH": os.defpath},
            stdout=asyncio.subprocess.DEVNULL,
        )
        if await process.wait() != 0:
            raise RuntimeError(f"{self.program} container inspect failed")
