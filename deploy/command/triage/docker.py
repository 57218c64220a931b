"""Docker's doing: it was away as a whole, or could not tell about one container or some."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from deploy.command.triage.facts import UNANSWERED_GAP_S, Facts
from deploy.command.triage.incident import Fault, Incident, Kind, many, whom
from deploy.command.triage.outages import SLACK_S, Window
from deploy.command.triage.spans import Span
from deploy.handbook import Entry


@dataclass(slots=True)
class _Unanswered:
    """What Docker could not tell in a time that hangs together, and about whom."""

    began: float
    ended: float
    workspaces: set[str] = field(default_factory=set)
    tallies: Counter[str] = field(default_factory=Counter)

    def add(self, workspace_id: str, span: Span) -> None:
        self.ended = max(self.ended, span.last)
        self.workspaces.add(workspace_id)
        self.tallies.update(span.tallies)

    @property
    def requests(self) -> int:
        return self.tallies["503"]

    @property
    def answers(self) -> str:
        """What the clients got."""
        soft = self.tallies["soft"]
        lists = f" and {many(soft, 'list')} said that the state is unknown" if soft else ""
        return f"{many(self.requests, 'request')} got 503{lists}"

    @property
    def reason(self) -> str:
        """Docker's most frequent way not to answer."""
        reasons = {name.removeprefix("reason "): n for name, n in self.tallies.items() if " " in name}
        return min(reasons, key=lambda name: (-reasons[name], name), default="")


def docker_incidents(facts: Facts, outages: list[Window]) -> Iterable[Incident]:
    """Every time that Docker could not tell; each failed answer belongs to one incident."""
    during = [_Unanswered(window.began, window.ended or float("inf")) for window in outages]
    beside: list[tuple[str, Span]] = []
    for workspace_id, workspace in facts.workspaces.items():
        for span in workspace.unanswered:
            which = next((i for i, w in enumerate(outages) if w.covers(span.first, span.last)), None)
            if which is None:
                beside.append((workspace_id, span))
            else:
                during[which].add(workspace_id, span)
    for window, unanswered in zip(outages, during, strict=True):
        yield _away(facts, window, unanswered)
    for group in _groups(beside):
        yield _unanswered(facts, group)
    for (kind, reason), spans in sorted(facts.troubles.items()):
        if kind == "aborted":
            for span in spans:
                if not any(window.touches(span.first, span.last) for window in outages):
                    yield _aborted(span, reason)


def _away(facts: Facts, window: Window, unanswered: _Unanswered) -> Incident:
    until = window.ended or float("inf")
    marked = sum(marks["marked"] for marks in facts.marks.inside(window.began, until))
    reason = (
        min(window.reasons, key=lambda name: (-window.reasons[name], name), default="") or unanswered.reason
    )
    marks = f"{many(marked, 'workspace')} marked all the same" if marked else "no workspace was marked"
    return Incident(
        kind=Kind.ENGINE_AWAY,
        fault=Fault.DOCKER,
        entries=(Entry.ENGINE_AWAY, *([Entry.ENGINE_COULD_NOT_ANSWER] if unanswered.requests else [])),
        began=window.began,
        ended=window.ended,
        summary=f"engine away{f' ({reason})' if reason else ''}: {unanswered.answers}, {marks}",
        workspaces=tuple(sorted(unanswered.workspaces)),
        requests=unanswered.requests,
        counts={"marked": marked, "lists": unanswered.tallies["soft"]},
    )


def _groups(spans: list[tuple[str, Span]]) -> Iterable[_Unanswered]:
    """Those that overlap, or nearly, together."""
    group: _Unanswered | None = None
    for workspace_id, span in sorted(spans, key=lambda pair: (pair[1].first, pair[0])):
        if group is not None and span.first > group.ended + SLACK_S:
            yield group
            group = None
        if group is None:
            group = _Unanswered(span.first, span.last)
        group.add(workspace_id, span)
    if group is not None:
        yield group


def _unanswered(facts: Facts, group: _Unanswered) -> Incident:
    alone = len(group.workspaces) == 1
    workspaces = tuple(sorted(group.workspaces))
    listed = any(sweep["listed"] for sweep in facts.sweeps_when.inside(group.began, group.ended))
    others = "; Docker listed its containers meanwhile" if listed else ""
    about = f"the container of {whom(workspaces)}" if alone else f"{len(workspaces)} containers"
    return Incident(
        kind=Kind.CONTAINER_UNANSWERED if alone else Kind.ENGINE_UNANSWERED,
        fault=Fault.DOCKER,
        entries=(Entry.STATE_UNKNOWN, Entry.ENGINE_COULD_NOT_ANSWER)
        if alone
        else (Entry.ENGINE_COULD_NOT_ANSWER,),
        began=group.began,
        ended=group.ended,
        summary=f"Docker could not tell about {about} ({group.reason}): {group.answers}{others}",
        workspaces=workspaces,
        requests=group.requests,
        counts={"lists": group.tallies["soft"]},
        quiet_s=UNANSWERED_GAP_S,
    )


def _aborted(span: Span, reason: str) -> Incident:
    return Incident(
        kind=Kind.SWEEP_ABORTED,
        fault=Fault.DOCKER,
        entries=(Entry.ENGINE_COULD_NOT_ANSWER,),
        began=span.first,
        ended=span.last,
        summary=f"{many(span.count, 'sweep')} gave up asking Docker ({reason}), and asked again later",
        counts={"sweeps": span.count},
        quiet_s=SLACK_S,
    )
