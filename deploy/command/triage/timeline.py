"""When what happened: one lane for each kind, each with one value for each of so many equal times."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from deploy.command.triage.facts import Facts
from deploy.command.triage.incident import Incident, Kind
from deploy.command.triage.times import lasting

Form = Literal["band", "bars"]
Tone = Literal["bad", "warn", "good", "plain"]


@dataclass(frozen=True, slots=True)
class Lane:
    """`band`: 1 where something was so; `bars`: how many, or how long. `total` says it in words."""

    name: str
    form: Form
    tone: Tone
    values: tuple[float, ...]
    total: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Lanes from `began` to `ended` (seconds), each with as many values as the others."""

    began: float
    ended: float
    lanes: tuple[Lane, ...]


_BANDS: tuple[tuple[str, Tone, frozenset[Kind]], ...] = (
    ("Docker", "bad", frozenset({Kind.ENGINE_AWAY, Kind.ENGINE_UNANSWERED, Kind.CONTAINER_UNANSWERED})),
    ("PostgreSQL", "bad", frozenset({Kind.DATABASE_AWAY, Kind.DATABASE_REFUSED})),
    ("brake", "warn", frozenset({Kind.SWEEP_HELD})),
    (
        "services",  # not running, or idle
        "bad",
        frozenset(
            {
                Kind.SERVICE_STOPPED,
                Kind.SETTINGS_INVALID,
                Kind.SCHEMA_REFUSED,
                Kind.SCHEMA_OUTDATED,
                Kind.SWEEPER_SILENT,
            }
        ),
    ),
)
_BARS: tuple[tuple[str, Tone, str], ...] = (
    ("starts", "plain", "starts"),
    ("offline", "bad", "offline"),
    ("degraded", "warn", "degraded"),
    ("online", "good", "online"),
    ("would mark", "warn", "would"),
    ("requests", "plain", "requests"),
    ("5xx", "bad", "failed"),
    ("external", "warn", "external"),
    ("401", "warn", "rejected"),
    ("429", "warn", "limited"),
)
_SECOND_MS = 1000


@dataclass(frozen=True, slots=True)
class _Columns:
    """So many equal times between two moments."""

    began: float
    ended: float
    number: int

    def empty(self) -> list[float]:
        return [0.0] * self.number

    def of(self, at: float) -> int:
        """In which of them this moment is; the first or the last where it is in none."""
        index = int((at - self.began) / (self.ended - self.began) * self.number)
        return min(self.number - 1, max(0, index))


def timeline(facts: Facts, incidents: list[Incident], *, columns: int) -> Timeline | None:
    """The lanes in which there is something; None where there is no line at all."""
    if facts.extent is None:
        return None
    began, ended = facts.extent
    grid = _Columns(began, max(ended, began + 1), columns)
    lanes = [
        *(_band(name, tone, [i for i in incidents if i.kind in kinds], grid) for name, tone, kinds in _BANDS),
        *(_bars(name, tone, _counts(facts, key), grid) for name, tone, key in _BARS),
        _sweeps(facts, grid),
    ]
    return Timeline(grid.began, grid.ended, tuple(lane for lane in lanes if any(lane.values)))


def _counts(facts: Facts, key: str) -> Iterable[tuple[float, int]]:
    return ((at, counts[key]) for at, counts in facts.lanes.items())


def _band(name: str, tone: Tone, found: list[Incident], grid: _Columns) -> Lane:
    values, seconds = grid.empty(), 0.0
    for incident in found:
        until = grid.ended if incident.ended is None else incident.ended
        seconds += until - incident.began
        for index in range(grid.of(incident.began), grid.of(until) + 1):
            values[index] = 1.0
    total = lasting(seconds) if seconds >= 1 else f"{len(found)} x"
    return Lane(name, "band", tone, tuple(values), total)


def _bars(name: str, tone: Tone, counts: Iterable[tuple[float, int]], grid: _Columns) -> Lane:
    values = grid.empty()
    for at, count in counts:
        values[grid.of(at)] += count
    return Lane(name, "bars", tone, tuple(values), f"{int(sum(values)):,}")


def _sweeps(facts: Facts, grid: _Columns) -> Lane:
    values = grid.empty()
    for at, longest in facts.sweeps_when.items():
        values[grid.of(at)] = max(values[grid.of(at)], longest["all"])
    most = max(values)
    total = f"{most / _SECOND_MS:.1f} s" if most >= _SECOND_MS else f"{most:.0f} ms"
    return Lane("sweep time", "bars", "plain", tuple(values), f"max {total}")
