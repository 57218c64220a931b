"""Where a benchmark was run, as far as it matters to others."""

import os
import platform
from dataclasses import dataclass

from tests.support.engine import RealEngine
from tests.support.postgres import PostgresServer, connected


@dataclass(frozen=True, slots=True)
class Machine:
    """Its cores, and the versions of what was measured with."""

    cores: int
    dockerd: str
    postgresql: str
    python: str

    def __str__(self) -> str:
        return (
            f"{self.cores} cores, dockerd {self.dockerd}, PostgreSQL {self.postgresql}, Python {self.python}"
        )


async def this_machine(engine: RealEngine, postgres: PostgresServer) -> Machine:
    _, docker = await engine.request("GET", "/version")
    async with connected(postgres.url) as connection:
        server = str(await connection.fetchval("SHOW server_version"))
    return Machine(os.cpu_count() or 1, str(docker["Version"]), server, platform.python_version())
