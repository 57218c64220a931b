"""What a run of the sweep's benchmark measured, kept round by round, and what may be said of it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.cost import Cost
from tests.bench.machine import Machine
from tests.bench.spread import Spread, ratio

Quantity = Callable[[Cost], float]


def wall(cost: Cost) -> float:
    return cost.wall_ms


def cpu(cost: Cost) -> float:
    return cost.cpu_ms


@dataclass(frozen=True, slots=True)
class Case:
    """One fleet, measured in rounds: `reference[i]` and `ours[i]` were measured one right after the other."""

    containers: int
    dead: int
    reference: list[Cost]
    ours: list[Cost]
    go_client: list[Cost]
    """The inspects alone, by Docker's own client, in the same rounds; empty where it was not measured."""

    def ratio(self, quantity: Quantity, other: Sequence[Cost] | None = None) -> Spread:
        """How many times more the reference, or the `other` way, takes, round by round."""
        return ratio(map(quantity, other or self.reference), map(quantity, self.ours))


@dataclass(frozen=True, slots=True)
class Results:
    machine: Machine
    cases: list[Case]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Results":
        content = json.loads(path.read_text())
        return cls(Machine(**content["machine"]), [_case(case) for case in content["cases"]])


def _case(content: dict[str, Any]) -> Case:
    costs = {side: [Cost(**cost) for cost in content[side]] for side in ("reference", "ours", "go_client")}
    return Case(content["containers"], content["dead"], **costs)
