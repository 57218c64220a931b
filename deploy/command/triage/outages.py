"""When Docker or PostgreSQL were away, or the brake held: whose beginnings and ends are said in the log."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from deploy.command.triage.facts import Edge, Facts
from deploy.command.triage.incident import Fault, Incident, Kind, many
from deploy.command.triage.lines import number, word
from deploy.handbook import Entry

SLACK_S = 30.0
"""An outage is noticed at a sweep, its first victims may be earlier; and answers in flight end later."""

_SAME_S = 15.0
"""What begins so soon after another has ended is the same one: it was seen by two, or by a new process."""


@dataclass(slots=True)
class Window:
    """From the first sign to the last; `ended` is None where no end was seen."""

    began: float
    ended: float | None = None
    processes: set[str] = field(default_factory=set)
    reasons: Counter[str] = field(default_factory=Counter)
    first: Edge | None = None

    def covers(self, began: float, ended: float, slack: float = SLACK_S) -> bool:
        """Whether all of that lies in it, give or take `slack`."""
        return self.began - slack <= began and (self.ended is None or ended <= self.ended + slack)

    def touches(self, began: float, ended: float, slack: float = SLACK_S) -> bool:
        """Whether some of that lies in it."""
        return self.began - slack <= ended and (self.ended is None or began <= self.ended + slack)


def windows(facts: Facts, kind: str, *, opening: str, closing: str) -> list[Window]:
    """The times between `opening` and `closing` lines, over all processes; overlapping ones are one."""
    found: list[Window] = []
    for process in sorted(facts.spoke):
        lives = [edge for edge in facts.edges["life"] if edge.event == "process.started"]
        edges = [edge for edge in (*facts.edges[kind], *lives) if edge.process == process]
        edges.sort(key=lambda edge: (edge.at, edge.event != closing, edge.event))
        found += _of_one_process(edges, opening, closing)
    return _merged(sorted(found, key=lambda window: window.began))


def _of_one_process(edges: Iterable[Edge], opening: str, closing: str) -> Iterable[Window]:
    open_: Window | None = None
    for edge in edges:
        if edge.event == opening:
            if open_ is None:
                open_ = Window(edge.at, processes={edge.process}, first=edge)
            open_.reasons[word(edge.keys, "reason")] += 1
        elif edge.event == closing and open_ is None:  # its beginning is not among the lines
            open_ = Window(edge.at - number(edge.keys, "down_s"), processes={edge.process})
        # A new process knows nothing of it: it sees it again at once, or it is over. The command never tells.
        if open_ is not None and (edge.event != opening or edge.process == "command"):
            open_.ended = edge.at
            yield open_
            open_ = None
    if open_ is not None:
        yield open_


def _merged(sorted_windows: list[Window]) -> list[Window]:
    merged: list[Window] = []
    for window in sorted_windows:
        last = merged[-1] if merged else None
        if last is None or (last.ended is not None and window.began > last.ended + _SAME_S):
            merged.append(window)
            continue
        last.ended = None if None in (last.ended, window.ended) else max(last.ended or 0, window.ended or 0)
        last.processes |= window.processes
        last.reasons += window.reasons
        last.first = last.first or window.first
    return merged


def database_incidents(facts: Facts, outages: list[Window]) -> Iterable[Incident]:
    """PostgreSQL away, the requests that it cost, and the runtimes that could not be looked up."""
    refused = list(facts.spans("datastore"))
    for window in outages:
        here = [span for span in refused if window.touches(span.first, span.last)]
        refused = [span for span in refused if span not in here]
        requests = sum(span.count for span in here)
        detail = word(window.first.keys, "detail") if window.first else ""
        yield Incident(
            kind=Kind.DATABASE_AWAY,
            fault=Fault.DATABASE,
            entries=(Entry.DATABASE_AWAY,),
            began=window.began,
            ended=window.ended,
            summary="PostgreSQL away"
            + (f" ({detail})" if detail else "")
            + f": {many(requests, 'request')} got 503; seen by {_both(window.processes)}",
            requests=requests,
        )
    for span in refused:
        yield Incident(
            kind=Kind.DATABASE_REFUSED,
            fault=Fault.DATABASE,
            entries=(Entry.DATABASE_AWAY,),
            began=span.first,
            ended=span.last,
            summary=f"{many(span.count, 'request')} got 503: PostgreSQL did not take what they needed",
            requests=span.count,
            quiet_s=SLACK_S,
        )
    for span in facts.spans("lookup_failed"):
        yield Incident(
            kind=Kind.RUNTIME_NOT_LOOKED_UP,
            fault=Fault.DATABASE,
            entries=(Entry.RUNTIME_NOT_LOOKED_UP,),
            began=span.first,
            ended=span.last,
            summary=f"the runtime could not be looked up for {many(span.count, 'request')}: if the workspace "
            "is external, the 503 that followed is not its container's doing",
            requests=span.count,
            quiet_s=SLACK_S,
        )


def brake_incidents(facts: Facts) -> Iterable[Incident]:
    """The brake that holds while none of the fleet's containers is there."""
    for window in windows(facts, "brake", opening="sweep.held", closing="sweep.released"):
        keys = window.first.keys if window.first else {}
        would, of = int(number(keys, "would_mark_offline")), int(number(keys, "of"))
        numbers = f"{would} of {of} workspaces would be offline" if keys else "when it began is not told"
        yield Incident(
            kind=Kind.SWEEP_HELD,
            fault=Fault.CONFIGURATION,
            entries=(Entry.SWEEP_HELD,),
            began=window.began,
            ended=window.ended,
            summary=f"the brake held ({numbers}): none of the fleet's containers was there, and nothing was "
            "marked. Is DOCKER_HOST the right engine?",
            counts={"would_mark_offline": would, "of": of},
        )


def _both(processes: set[str]) -> str:
    return " and ".join(f"the {process}" for process in sorted(processes))
