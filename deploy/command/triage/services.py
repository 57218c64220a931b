"""What became of the services themselves: ended, started again, refused to start, too slow, silent."""

from collections.abc import Iterable, Iterator, Mapping

from deploy.command.triage.facts import SWEEP_GAP_S, TROUBLE_GAP_S, Edge, Facts
from deploy.command.triage.incident import Fault, Incident, Kind, many
from deploy.command.triage.lines import word
from deploy.command.triage.outages import SLACK_S, Window
from deploy.command.triage.spans import Span, Spans
from deploy.command.triage.times import lasting
from deploy.handbook import Entry

_BEFORE_S = 2.0
"""A process writes its first line as it starts: with older ones it ran already."""

_LAST_WORDS = ("process.stopped", "process.crashed", "settings.invalid", "schema.refused")


def service_incidents(facts: Facts, engine: list[Window], database: list[Window]) -> Iterator[Incident]:
    """All that is not a workspace's, Docker's or PostgreSQL's own story."""
    stopped: list[tuple[float, float]] = []
    for process in sorted(set(facts.spoke) - {"command"}):
        edges = [edge for edge in facts.edges["life"] if edge.process == process]
        edges.sort(key=lambda edge: (edge.at, edge.event == "process.started", edge.event))
        yield from _ends(facts, process, edges)
        yield from _refusals(facts, process, edges)
        if process == "sweeper":
            stopped = list(_absences(edges, facts))
    yield from _outdated(facts)
    yield from _bugs(facts)
    for span in facts.spans("overran"):
        if not any(window.covers(span.first, span.last) for window in (*engine, *database)):
            yield _overran(facts, span)  # within an outage it is no news
    absent = [Window(began, ended) for began, ended in stopped]
    yield from _silences(facts, [*absent, *database])


def _ends(facts: Facts, process: str, edges: list[Edge]) -> Iterator[Incident]:
    """How often it ended in which way, those together that follow each other."""
    how: dict[Kind, Spans] = {}
    first, last = facts.spoke[process]
    before = "process.started" if not edges or edges[0].at > first + _BEFORE_S else ""
    for edge in edges:
        if edge.event == "process.crashed":
            how.setdefault(Kind.SERVICE_CRASHED, Spans(TROUBLE_GAP_S)).add(edge.at, _exception(edge.keys))
        if edge.event == "process.started" and before in ("process.started", "process.stopping"):
            how.setdefault(Kind.SERVICE_KILLED, Spans(TROUBLE_GAP_S)).add(edge.at)
        if edge.event == "process.started" and before == "process.stopped":
            how.setdefault(Kind.SERVICE_RESTARTED, Spans(TROUBLE_GAP_S)).add(edge.at)
        before = edge.event
    for kind, spans in how.items():
        for span in spans:
            yield _ended(facts, process, kind, span)
    if edges and edges[-1].at >= last and before in ("process.stopped", "process.crashed"):
        yield from _stopped(facts, process, edges[-1])


def _stopped(facts: Facts, process: str, edge: Edge) -> Iterator[Incident]:
    """An end that stayed one, while the other service ran on."""
    others = [last for name, (_, last) in facts.spoke.items() if name not in (process, "command")]
    if any(last > edge.at + SLACK_S for last in others):
        crashed = edge.event == "process.crashed"
        yield Incident(
            kind=Kind.SERVICE_STOPPED,
            fault=Fault.HEALTHSWEEP if crashed else Fault.OPERATOR,
            entries=(Entry.SWEEPER_STOPPED,),
            began=edge.at,
            ended=None,
            summary=f"the {process} {'crashed' if crashed else 'was stopped'} and has not been started again",
        )


def _ended(facts: Facts, process: str, kind: Kind, span: Span) -> Incident:
    times = f" {many(span.count, 'time')}" if span.count > 1 else ""
    told = {how: count for (who, how), count in sorted(facts.ends.items()) if who == process}
    match kind:
        case Kind.SERVICE_CRASHED:
            fault = Fault.HEALTHSWEEP
            exception = min(span.tallies, default="")
            summary = f"the {process} crashed{times} ({exception}): a bug; report the line"
        case Kind.SERVICE_RESTARTED:
            fault = Fault.OPERATOR
            summary = f"the {process} was restarted{times}, in order"
        case _:
            fault = Fault.HEALTHSWEEP if "watchdog" in told else Fault.HOST
            why = ", ".join(told) or "killed, or out of memory"
            summary = f"the {process} ended{times} without a word ({why}) and was started again"
    return Incident(
        kind=kind,
        fault=fault,
        entries=(Entry.BUG if kind == Kind.SERVICE_CRASHED else Entry.SWEEPER_STOPPED,),
        began=span.first,
        ended=span.last,
        summary=summary,
        counts={"times": span.count},
        quiet_s=SLACK_S,
    )


def _refusals(facts: Facts, process: str, edges: list[Edge]) -> Iterator[Incident]:
    """Starts that a setting or the schema forbade; over once the process has written anything else."""
    refused: dict[tuple[str, str], Spans] = {}
    for edge in edges:
        if edge.event in ("settings.invalid", "schema.refused"):
            what = (edge.event, word(edge.keys, "variable"))
            refused.setdefault(what, Spans(TROUBLE_GAP_S)).add(edge.at, word(edge.keys, "problem"))
    for (event, variable), spans in sorted(refused.items()):
        for span in spans:
            settings = event == "settings.invalid"
            later = [edge.at for edge in edges if edge.at > span.last and edge.event == "process.started"]
            ended = later[0] if later else span.last if facts.spoke[process][1] > span.last else None
            problem = min(span.tallies, default="")
            yield Incident(
                kind=Kind.SETTINGS_INVALID if settings else Kind.SCHEMA_REFUSED,
                fault=Fault.CONFIGURATION,
                entries=(Entry.SETTINGS if settings else Entry.SCHEMA,),
                began=span.first,
                ended=ended,
                summary=f"the {process} did not start (exit status 78): "
                + (f"{variable} " if settings else "the schema does not fit: ")
                + problem,
                counts={"times": span.count},
            )


def _outdated(facts: Facts) -> Iterator[Incident]:
    spans = Spans(TROUBLE_GAP_S)
    for edge in facts.edges["schema"]:
        spans.add(edge.at, edge.process)
    for span in spans:
        swept = next((sweeps.last for sweeps in facts.sweeps if sweeps.last > span.last), None)
        yield Incident(
            kind=Kind.SCHEMA_OUTDATED,
            fault=Fault.CONFIGURATION,
            entries=(Entry.SCHEMA,),
            began=span.first,
            ended=span.last if swept else None,
            summary="the database was not migrated: run `healthsweep migrate`",
        )


def _bugs(facts: Facts) -> Iterator[Incident]:
    for (kind, event), spans in sorted(facts.troubles.items()):
        for span in spans if kind == "bug" else ():
            what = "a sweep" if event == "sweep.failed" else "a request"
            yield Incident(
                kind=Kind.BUG,
                fault=Fault.HEALTHSWEEP,
                entries=(Entry.BUG,),
                began=span.first,
                ended=span.last,
                summary=f"{what} failed on a bug {many(span.count, 'time')} ({event}): report the line",
                requests=span.count if event == "request.failed" else 0,
                counts={"times": span.count},
                quiet_s=SLACK_S,
            )


def _overran(facts: Facts, span: Span) -> Incident:
    """Whose slowness it was shows where the time of the sweeps went."""
    values = list(facts.sweeps_when.inside(span.first - SLACK_S, span.last + SLACK_S))
    total, listing = sum(value["all"] for value in values), sum(value["list"] for value in values)
    refused = (*facts.spans("datastore"), *facts.spans("lookup_failed"))
    if any(Window(s.first, s.last).touches(span.first, span.last) for s in refused):
        fault, why = Fault.DATABASE, "PostgreSQL let others wait, too"
    elif listing > total / 2:
        fault, why = Fault.DOCKER, "Docker was slow to list its containers"
    else:
        fault, why = (
            Fault.HEALTHSWEEP,
            "not because of Docker's list: PostgreSQL, or too short an interval?",
        )
    return Incident(
        kind=Kind.SWEEP_OVERRAN,
        fault=fault,
        entries=(Entry.SWEEPS_SLOW,),
        began=span.first,
        ended=span.last,
        summary=f"{many(span.count, 'sweep')} took longer than SWEEP_INTERVAL ({why})",
        counts={"sweeps": span.count},
        quiet_s=SLACK_S,
    )


def _absences(edges: list[Edge], facts: Facts) -> Iterator[tuple[float, float]]:
    """When the process was known not to run."""
    ended: float | None = None
    for edge in edges:
        if edge.event in _LAST_WORDS:
            ended = edge.at if ended is None else ended
        elif edge.event == "process.started" and ended is not None:
            yield ended, edge.at
            ended = None
    if ended is not None and facts.extent is not None:
        yield ended, facts.extent[1]


def _silences(facts: Facts, explained: list[Window]) -> Iterator[Incident]:
    """Times without a sweep that nothing else explains."""
    sweeps = list(facts.sweeps)
    extent = facts.extent
    if not sweeps or extent is None or facts.sweep_interval_s > SWEEP_GAP_S / 3:
        return  # with so long an interval silence is no sign
    ends: Iterable[float | None] = [*(span.first for span in sweeps[1:]), None]
    for span, next_sweep in zip(sweeps, ends, strict=True):
        until = extent[1] if next_sweep is None else next_sweep
        if until - span.last <= SWEEP_GAP_S or any(w.touches(span.last, until) for w in explained):
            continue
        yield Incident(
            kind=Kind.SWEEPER_SILENT,
            fault=Fault.HEALTHSWEEP,
            entries=(Entry.SWEEPER_STOPPED,),
            began=span.last,
            ended=next_sweep,
            summary=f"no sweep was completed for {lasting(until - span.last)}, and nothing here says why",
        )


def _exception(keys: Mapping[str, object]) -> str:
    """The type of the exception of a line, outermost."""
    exceptions = keys.get("exception")
    first = exceptions[0] if isinstance(exceptions, list) and exceptions else None
    return str(first.get("exc_type", "")) if isinstance(first, Mapping) else ""
