"""What the lines come down to: the same for any order of the lines, and small however many there are.

It grows with workspaces, with kinds of trouble and with the minutes in which something happened, not with
lines. Whose fault something is, is not decided here.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from deploy.command.triage.lines import Line, word
from deploy.command.triage.spans import Buckets, Extremes, Spans

WORKSPACE_GAP_S = 600.0
"""Changes of one workspace that are no further apart belong to one story, such as a crash loop."""

UNANSWERED_GAP_S = 60.0
SWEEP_GAP_S = 120.0
TROUBLE_GAP_S = 300.0

_MOST_BUCKETS = 4096
_MOST_MARK_BUCKETS = 65536  # finer: whether somebody was marked during an outage is told by them
_MOST_SAMPLES = 500
_MOST_EDGES = 10_000
_SLOWEST = 10
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Edge(NamedTuple):
    """A line that begins or ends something that lasts."""

    at: float
    process: str
    event: str
    keys: Mapping[str, Any]


class Sweep(NamedTuple):
    """A sweep that was slow."""

    duration_ms: float
    at: float
    list_ms: float
    checked: int
    inspects: int
    sweep_id: str


@dataclass(slots=True)
class Sample:
    """How often an event was seen that is not as it should be, and its first line."""

    level: str
    count: int = 0
    first: float = float("inf")
    last: float = float("-inf")
    example: Mapping[str, Any] = field(default_factory=dict)

    def add(self, line: Line) -> None:
        """One more."""
        self.count += 1
        self.last = max(self.last, line.at)
        if line.at < self.first or (line.at == self.first and plain(line.keys) < plain(self.example)):
            self.first, self.example = line.at, line.keys


@dataclass(slots=True)
class WorkspaceFacts:
    """Of one workspace: what was written of it or refused because of it, what Docker could not tell, and
    what was refused because it is external."""

    states: Spans = field(default_factory=lambda: Spans(WORKSPACE_GAP_S))
    unanswered: Spans = field(default_factory=lambda: Spans(UNANSWERED_GAP_S))
    external: Spans = field(default_factory=lambda: Spans(TROUBLE_GAP_S))


class Facts:
    """What is known of the lines that were counted, in whatever order."""

    def __init__(self) -> None:
        self.lines = 0
        self.skipped: Counter[str] = Counter()
        self.spoke: dict[str, tuple[float, float]] = {}
        """When each process wrote its first and its last line."""
        self.workspaces: dict[str, WorkspaceFacts] = {}
        self.edges: dict[str, Extremes[Edge]] = defaultdict(
            lambda: Extremes(_MOST_EDGES, key=lambda edge: (-edge.at, edge.process, edge.event))
        )
        self.troubles: dict[tuple[str, str], Spans] = defaultdict(lambda: Spans(TROUBLE_GAP_S))
        """By kind and detail."""
        self.troubles["overran", ""] = Spans(UNANSWERED_GAP_S)
        self.samples: dict[tuple[str, str], Sample] = {}
        """By event and code."""
        self.ends: Counter[tuple[str, str]] = Counter()
        """How processes ended, as their manager says: by process and way."""
        self.sweeps = Spans(SWEEP_GAP_S)
        self.sweep_interval_s = 0.0
        self.slowest: Extremes[Sweep] = Extremes(_SLOWEST, key=lambda sweep: (-sweep.duration_ms, *sweep))
        self.sweeps_when: Buckets[Counter[str]] = Buckets(_MOST_BUCKETS, make=Counter, merge=raise_to)
        """Of the longest sweeps the milliseconds of `all` and of its `list`; whether one `listed` any."""
        self.lanes: Buckets[Counter[str]] = Buckets(_MOST_BUCKETS, make=Counter, merge=Counter.update)
        """How many of what there were when."""
        self.marks: Buckets[Counter[str]] = Buckets(_MOST_MARK_BUCKETS, make=Counter, merge=Counter.update)

    @property
    def extent(self) -> tuple[float, float] | None:
        """When the first and the last line were written."""
        if not self.spoke:
            return None
        return min(first for first, _ in self.spoke.values()), max(last for _, last in self.spoke.values())

    def spans(self, kind: str) -> Spans:
        """The troubles of a kind that has no details."""
        return self.troubles.get((kind, ""), Spans(0))

    def workspace(self, workspace_id: object) -> WorkspaceFacts | None:
        """What is kept of this workspace; None for what is no id."""
        known = self.workspaces.get(workspace_id) if isinstance(workspace_id, str) else None
        if known is None and isinstance(workspace_id, str) and _UUID.fullmatch(workspace_id.lower()):
            known = self.workspaces.setdefault(workspace_id.lower(), WorkspaceFacts())
        return known

    def sample(self, line: Line, code: str) -> None:
        """Keep count of a line that tells of something wrong."""
        key = (line.event, code)
        if key not in self.samples and len(self.samples) >= _MOST_SAMPLES:
            key = (line.event, "(others)")
        self.samples.setdefault(key, Sample(word(line.keys, "level"))).add(line)


def plain(keys: Mapping[str, Any]) -> str:
    """A line as one text that is always the same."""
    return json.dumps(keys, sort_keys=True, default=str)


def raise_to(values: Counter[str], others: Mapping[str, float]) -> None:
    """Keep the larger of both, each."""
    for name, value in others.items():
        values[name] = max(values[name], round(value))
