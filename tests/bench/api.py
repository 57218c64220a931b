"""`python -m tests.bench.api`: what the api's heavy works cost, beside the plain way to do the same.

Starts a Docker Engine, a PostgreSQL, our api, the reference and nginx of its own, and asks all sides in
every round, one right after the other, so that whatever else the machine does meets all. Needs root and
some seven minutes. Writes the table, the plot and the raw numbers to docs.
"""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.bench.api_report import RAW, section, write
from tests.bench.api_results import ApiResults, Run
from tests.bench.cost import Meter
from tests.bench.machine import this_machine
from tests.bench.scene import Scene, staged
from tests.bench.sizes import FULL, SMALL, Sizes
from tests.bench.works import WORKS, Side, Work
from tests.support.engine import DockerEngine
from tests.support.memory import Peak
from tests.support.postgres import PostgresServer
from tests.support.processes import CHECKOUT
from tests.support.remains import private_directory

_MB = 10**6
_LEAST_GROWTH_MB = 0.1  # the kernel counts no finer


async def measure(names: Sequence[str], sizes: Sizes, rounds: int) -> ApiResults:
    """These works, each in as many rounds."""
    runs = {}
    with private_directory() as directory:
        async with (
            DockerEngine(directory / "docker") as engine,
            PostgresServer(directory / "postgres") as postgres,
            staged(engine, postgres, directory, sizes) as scene,
        ):
            machine = await this_machine(engine, postgres)
            bench = Bench(scene, Meter(engine_pid=engine.pid, database_pid=postgres.pid))
            for name in names:
                print(sizes.title(name), flush=True)
                runs[name] = await bench.measured(await WORKS[name](scene, sizes), rounds)
    return ApiResults(machine, sizes, runs)


class Bench:
    """Measures what the servers of `scene`, which have not done anything yet, do."""

    def __init__(self, scene: Scene, meter: Meter) -> None:
        self._meter = meter
        self._peaks = {server.pid: Peak(server.pid) for server in (scene.ours, scene.reference, scene.nginx)}

    async def measured(self, work: Work, rounds: int) -> dict[str, list[Run]]:
        """Who comes first changes with every round."""
        runs: dict[str, list[Run]] = {name: [] for name in work.sides}
        order = list(work.sides.items())
        for _, side in order:  # connections, prepared statements, caches
            await self._run(work, side)
        for _ in range(rounds):
            for name, side in order:
                runs[name].append(await self._run(work, side))
            order.reverse()
        return runs

    async def _run(self, work: Work, side: Side) -> Run:
        seconds = 0.0

        async def ask() -> None:
            nonlocal seconds
            seconds = await side.load.seconds()

        await work.before()
        peak = self._peaks[side.pid]
        peak.reset()
        cost = await self._meter.cost(ask, client_pid=side.pid)
        growth = max(peak.growth() / _MB, _LEAST_GROWTH_MB)
        await work.after()
        return Run(side.load.times, replace(cost, wall_ms=round(1000 * seconds, 3)), round(growth, 3))


def _beside_what_is_known(results: ApiResults, docs: Path) -> ApiResults:
    """With the works that were not measured now as they were measured before, on the same machine."""
    if not (docs / RAW).exists():
        return results
    known = ApiResults.load(docs / RAW)
    if (known.machine, known.sizes) != (results.machine, results.sizes):
        return results
    runs = {**known.runs, **results.runs}
    return replace(results, runs={name: runs[name] for name in WORKS if name in runs})


def _names(text: str) -> list[str]:
    """In the order of WORKS: each leaves something behind that the next one does not mind."""
    names = text.split(",")
    if unknown := set(names) - WORKS.keys():
        raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}")
    return [name for name in WORKS if name in names]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.api", description="Measure the api.")
    parser.add_argument("--only", type=_names, default=list(WORKS), metavar=",".join(WORKS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--small", action="store_true", help="a little of everything: does it run at all?")
    parser.add_argument("--docs", type=Path, default=CHECKOUT / "docs", help="where the results are written")
    arguments = parser.parse_args()
    sizes = SMALL if arguments.small else FULL
    results = asyncio.run(measure(arguments.only, sizes, arguments.rounds))
    results = _beside_what_is_known(results, arguments.docs)
    write(results, arguments.docs)
    print(section(results))


if __name__ == "__main__":
    main()
