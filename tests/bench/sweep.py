"""`python -m tests.bench.sweep`: what a sweep costs, beside the plain way to do the same.

Starts a Docker Engine and a PostgreSQL of its own, makes the containers, and measures both ways in every
round, one right after the other, so that whatever else the machine does meets both. Needs root and some
two minutes. Writes the table, the plot and the raw numbers to docs.
"""

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from shared import logs
from shared.database import Database
from shared.engine import Engine
from shared.settings import Settings
from sweeper.store import SweepStore
from sweeper.sweep import Sweeper
from tests.bench.cost import Cost, Meter
from tests.bench.fleet import Fleet
from tests.bench.go_client import GoClient
from tests.bench.machine import this_machine
from tests.bench.reference import ReferenceSweep
from tests.bench.report import section, write
from tests.bench.results import Case, Results
from tests.support.engine import DockerEngine
from tests.support.postgres import PostgresServer, connected
from tests.support.processes import CHECKOUT
from tests.support.remains import private_directory


class OurSweep:
    """The sweeper as it is, reported and logged, with graces that end at once."""

    def __init__(self, sweeper: Sweeper) -> None:
        self._sweeper = sweeper

    async def sweep(self) -> None:
        await self._sweeper.sweep()
        report = self._sweeper.complete()
        if report.unknown or report.checked != report.running + report.not_running:
            raise AssertionError(f"not a whole sweep: {report}")


@dataclass(frozen=True, slots=True)
class Bench:
    """Both ways to sweep one fleet."""

    fleet: Fleet
    reference: ReferenceSweep
    ours: OurSweep
    meter: Meter
    go_client: GoClient | None

    async def case(self, *, dead: int, rounds: int) -> Case:
        """Measure `rounds` times; who comes first changes with every round."""
        case = Case(len(self.fleet.names), dead, reference=[], ours=[], go_client=[])
        sides: list[tuple[ReferenceSweep | OurSweep, list[Cost]]] = [
            (self.reference, case.reference),
            (self.ours, case.ours),
        ]
        for sweep, _ in sides:  # connections, prepared statements, caches
            await self._measure(sweep)
        for _ in range(rounds):
            for sweep, costs in sides:
                costs.append(await self._measure(sweep))
            if self.go_client and not dead:
                case.go_client.append(await self.go_client.cost(self.meter, self.fleet.names))
            sides.reverse()
        return case

    async def _measure(self, sweep: ReferenceSweep | OurSweep) -> Cost:
        cost = await self.meter.cost(sweep.sweep)
        await self.fleet.check_and_reset()
        return cost


@asynccontextmanager
async def _bench(engine: DockerEngine, postgres: PostgresServer) -> AsyncIterator[Bench]:
    url = await postgres.create_migrated_database()
    settings = Settings(database_url=url, docker_host=engine.host, offline_grace=0, online_grace=0)
    socket = aiohttp.UnixConnector(str(engine.socket))
    docker = shutil.which("docker")
    async with (
        connected(url) as connection,
        aiohttp.ClientSession(connector=socket) as session,
        Engine(engine.host, timeout=settings.engine_timeout) as door,
        Database(url, application="healthsweep-sweeper") as database,
    ):
        store = SweepStore(database, unswept_runtimes=settings.unswept_runtimes)
        yield Bench(
            fleet=Fleet(engine=engine, connection=connection),
            reference=ReferenceSweep(session=session, connection=connection),
            ours=OurSweep(Sweeper(engine=door, store=store, settings=settings)),
            meter=Meter(engine_pid=engine.pid, database_pid=postgres.pid),
            go_client=GoClient(docker, engine.host) if docker else None,
        )


async def measure(sizes: Sequence[int], rounds: int) -> Results:
    """Each size with all alive, and then with a tenth dead."""
    cases = []
    with private_directory() as directory:
        async with (
            DockerEngine(directory / "docker") as engine,
            PostgresServer(directory / "postgres") as postgres,
            _bench(engine, postgres) as bench,
        ):
            machine = await this_machine(engine, postgres)
            for size in sorted(sizes):
                print(f"{size} containers", flush=True)
                await bench.fleet.grow(size)
                cases.append(await bench.case(dead=0, rounds=rounds))
                await bench.fleet.kill(size // 10)
                cases.append(await bench.case(dead=size // 10, rounds=rounds))
                await bench.fleet.revive()
    return Results(machine, sorted(cases, key=lambda case: (case.dead > 0, case.containers)))


def _sizes(text: str) -> list[int]:
    sizes = [int(part) for part in text.split(",")]
    if min(sizes) < 10:
        raise argparse.ArgumentTypeError("a tenth of them must die: 10 is the least")
    return sizes


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sweep", description="Measure a sweep.")
    parser.add_argument("--containers", type=_sizes, default=[10, 100, 300], metavar="N,N,...")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--docs", type=Path, default=CHECKOUT / "docs", help="where the results are written")
    arguments = parser.parse_args()
    with Path(os.devnull).open("w") as nowhere:
        logs.configure("sweeper", level="info", form="json", stream=nowhere)
        sys.excepthook = sys.__excepthook__  # an error of the benchmark's own must be seen
        results = asyncio.run(measure(arguments.containers, arguments.rounds))
    write(results, arguments.docs)
    print(section(results))


if __name__ == "__main__":
    main()
