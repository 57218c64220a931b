"""What a run of the api's benchmarks measured, kept round by round, and what is promised of it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.cost import Cost
from tests.bench.machine import Machine
from tests.bench.page import short
from tests.bench.sizes import (
    CACHED,
    DOWNLOAD,
    HEARTBEATS,
    INSTALL,
    LISTING,
    NGINX,
    OURS,
    REFERENCE,
    PluginSizes,
    Sizes,
)
from tests.bench.spread import Spread, ratio


@dataclass(frozen=True, slots=True)
class Run:
    """What it cost one side to answer `times` requests; the wall time is what the clients saw."""

    times: int
    cost: Cost
    memory_mb: float
    """How much more memory the server held, at most, than before it was first asked for this work."""


Quantity = Callable[[Run], float]


def wall(run: Run) -> float:
    return run.cost.wall_ms / run.times


def server(run: Run) -> float:
    return run.cost.client_ms / run.times


def database(run: Run) -> float:
    return run.cost.database_ms / run.times


def memory(run: Run) -> float:
    return run.memory_mb


@dataclass(frozen=True, slots=True)
class Scale:
    """How a quantity is shown."""

    title: str
    unit: str
    of: Callable[[float], float]

    def text(self, value: float) -> str:
        return f"{short(self.of(value))}{self.unit}"


_WALL = Scale("wall time", " ms", lambda milliseconds: milliseconds)
_RATE = Scale("requests per second", "/s", lambda milliseconds: 1000 / milliseconds)
_MEMORY = Scale("growth of the server's memory", " MB", lambda megabytes: megabytes)
_SERVER = Scale("the server's CPU per request", " ms", lambda milliseconds: milliseconds)
_SERVER_SMALL = Scale("the server's CPU per request", " us", lambda milliseconds: 1000 * milliseconds)
_DATABASE = Scale("PostgreSQL's CPU per request", " us", lambda milliseconds: 1000 * milliseconds)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`other` beside ours, in one quantity, of which less is better. `promised` is the least ratio."""

    work: str
    scale: Scale
    quantity: Quantity
    other: str = REFERENCE
    promised: float | None = None


COMPARISONS = (
    Comparison(LISTING, _WALL, wall, promised=15),
    Comparison(INSTALL, _WALL, wall, promised=0.9),  # they are even, give or take what the machine does
    Comparison(INSTALL, _MEMORY, memory, promised=10),
    Comparison(DOWNLOAD, _RATE, wall, promised=30),
    Comparison(DOWNLOAD, _RATE, wall, NGINX, promised=0.65),
    Comparison(DOWNLOAD, _SERVER, server),
    Comparison(DOWNLOAD, _SERVER, server, NGINX),
    Comparison(DOWNLOAD, _MEMORY, memory),
    Comparison(HEARTBEATS, _RATE, wall, promised=4),
    Comparison(HEARTBEATS, _RATE, wall, CACHED),
    Comparison(HEARTBEATS, _DATABASE, database, promised=15),
    Comparison(HEARTBEATS, _DATABASE, database, CACHED),
    Comparison(HEARTBEATS, _SERVER_SMALL, server),
)


@dataclass(frozen=True, slots=True)
class ApiResults:
    """`runs[work][side][i]` of all sides were measured one right after the other."""

    machine: Machine
    sizes: Sizes
    runs: Mapping[str, Mapping[str, Sequence[Run]]]

    @property
    def comparisons(self) -> list[Comparison]:
        """Those of what was measured."""
        return [comparison for comparison in COMPARISONS if comparison.work in self.runs]

    @property
    def rounds(self) -> int:
        return min(len(runs) for sides in self.runs.values() for runs in sides.values())

    def spread(self, comparison: Comparison, side: str) -> Spread:
        """What that side took."""
        return Spread.of([comparison.quantity(run) for run in self.runs[comparison.work][side]])

    def ratio(self, comparison: Comparison) -> Spread:
        """How many times more the other side takes."""
        sides = self.runs[comparison.work]
        return ratio(*(map(comparison.quantity, sides[side]) for side in (comparison.other, OURS)))

    def broken(self) -> list[str]:
        """What is promised and was not measured to be so."""
        return [
            f"{comparison.work}, {comparison.scale.title}, {comparison.other}: {ratio.median:.2f}x, "
            f"promised {comparison.promised:g}x"
            for comparison in self.comparisons
            if comparison.promised and (ratio := self.ratio(comparison)).median < comparison.promised
        ]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "ApiResults":
        content = json.loads(path.read_text())
        runs = {
            work: {side: [_run(run) for run in runs] for side, runs in sides.items()}
            for work, sides in content["runs"].items()
        }
        sizes = content["sizes"]
        plugins = {key: PluginSizes(**sizes[key]) for key in ("downloaded", "installed")}
        return cls(Machine(**content["machine"]), Sizes(**{**sizes, **plugins}), runs)


def _run(content: dict[str, Any]) -> Run:
    return Run(**{**content, "cost": Cost(**content["cost"])})
