"""What became of single workspaces: containers that ended or crash-loop, agents that fell silent."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from deploy.command import exits
from deploy.command.triage.facts import WORKSPACE_GAP_S, Facts
from deploy.command.triage.incident import Fault, Incident, Kind, many, whom
from deploy.command.triage.outages import SLACK_S, Window
from deploy.command.triage.spans import Span, Spans
from deploy.command.triage.times import lasting
from deploy.handbook import Entry

LOOPS_FROM = 3
"""So often offline, with less than 10 minutes between two changes, is a crash loop."""

_TOGETHER_S = 60.0
_MEANINGS = {str(code): meaning for code, meaning in exits.MEANINGS.items()}
_NO_CRASH = frozenset(map(str, exits.NO_CRASH))
_SEEN = {
    "missing": "no such container",
    "created": "never started",
    "restarting": "Docker starts it again and again",
    "removing": "being removed",
    "dead": "Docker could not remove it",
}


@dataclass(frozen=True, slots=True)
class _Story:
    """What happened to one workspace in a time that hangs together.

    `back` is when it was no longer offline, `well` when it was online; None where it is not so at the end.
    """

    workspace_id: str
    span: Span
    back: float | None
    well: float | None

    @property
    def offline(self) -> int:
        return self.span.tallies["offline"]

    def since(self, *tallies: str) -> float:
        """When the first of these was seen."""
        return min(self.span.since[tally] for tally in tallies if tally in self.span.since)

    def most(self, prefix: str) -> str:
        """The most frequent of the tallies that begin so, without that beginning."""
        found = _beginning(self.span.tallies, prefix)
        return min(found, key=lambda name: (-found[name], name), default="")

    @property
    def why(self) -> str:
        """The reason, with the exit code where there is one."""
        reason = self.most("offline ") or self.most("seen ")
        if reason in ("exited", "dead", "restarting") and self.most("exit "):
            return f"{reason}, {self.ended}"
        return f"{reason} ({_SEEN[reason]})" if reason in _SEEN else reason

    @property
    def ended(self) -> str:
        """How its container ended, most of the time."""
        code = self.most("exit ")
        meaning = f" ({_MEANINGS[code]})" if code in _MEANINGS else ""
        return f"exit {code}{meaning}" if code else self.most("offline ")

    @property
    def crashes(self) -> bool:
        """Whether its program failed, as opposed to being stopped, paused or removed."""
        restarts = self.span.tallies["offline restarting"] > 0
        return restarts or self.most("exit ") not in {"", *_NO_CRASH}


def workspace_incidents(facts: Facts, outages: list[Window]) -> Iterator[Incident]:
    """Loops and silences one by one; containers that ended alike at the same time together."""
    down: list[_Story] = []
    for workspace_id in sorted(facts.workspaces):
        for story in _stories(workspace_id, facts.workspaces[workspace_id].states):
            tallies = story.span.tallies
            if tallies["offline heartbeat_stale"]:
                yield _silent(story)
            elif story.offline >= LOOPS_FROM or tallies["offline restarting"]:
                yield _loop(story)
            elif story.offline or tallies["503"] > tallies["let through"]:
                down.append(story)
            if tallies["degraded"]:
                yield _degraded(story)
    for group in _groups(down):
        yield _down(group, outages)


def _stories(workspace_id: str, spans: Spans) -> Iterator[_Story]:
    later: list[tuple[float, str]] = []  # the first change after this span
    for span in reversed(list(spans)):
        changes = [span.closing, *later] if span.closing else []
        back = next((at for at, state in changes if state != "offline"), None)
        well = next((at for at, state in changes if state == "online"), None)
        yield _Story(workspace_id, span, back, well)
        later = [span.opening] if span.opening else later


def _loop(story: _Story) -> Incident:
    """The program's own doing where it failed; somebody stops and starts it where it ended well."""
    times = f" {many(story.offline, 'time')}" if story.offline > 1 else ""
    crashes = story.crashes
    now = "online again" if story.back else "still not stable"
    said = f"{'crash-looped' if crashes else 'was stopped and started again'}{times}, {story.ended}"
    return _incident(
        story,
        Kind.CRASH_LOOP if crashes else Kind.FLAPPING,
        Fault.WORKSPACE if crashes else Fault.OPERATOR,
        Entry.CRASH_LOOP,
        f"workspace {story.workspace_id} {said}; {now}{_would(story)}{_refused(story)}",
    )


def _silent(story: _Story) -> Incident:
    times = story.span.tallies["offline heartbeat_stale"]
    often = f" {many(times, 'time')}" if times > 1 else ""
    now = "it called again" if story.back else "it has not called since"
    return _incident(
        story,
        Kind.AGENT_SILENT,
        Fault.AGENT,
        Entry.HEARTBEATS_STALE,
        f"the agent of external workspace {story.workspace_id} fell silent{often}; {now}{_would(story)}",
    )


def _degraded(story: _Story) -> Incident:
    times = story.span.tallies["degraded"]
    why = story.most("degraded ")
    now = "well again" if story.well else "not well since"
    return _incident(
        story,
        Kind.DEGRADED,
        Fault.AGENT,
        Entry.DEGRADED,
        f"the agent of workspace {story.workspace_id} reported trouble"
        + (f" {times} times" if times > 1 else "")
        + (f" ({why})" if why else "")
        + f"; {now}",
        since="degraded",
    )


def _incident(
    story: _Story, kind: Kind, fault: Fault, entry: Entry, summary: str, *, since: str = "offline"
) -> Incident:
    span = story.span
    tallies = {name: span.tallies[name] for name in ("offline", "online", "degraded") if span.tallies[name]}
    return Incident(
        kind=kind,
        fault=fault,
        entries=(entry,),
        began=story.since(since),
        ended=story.well if kind == Kind.DEGRADED else story.back,
        summary=summary,
        workspaces=(story.workspace_id,),
        requests=span.tallies["503"],
        counts=tallies,
        quiet_s=WORKSPACE_GAP_S if kind in (Kind.CRASH_LOOP, Kind.FLAPPING) else 0,
    )


def _groups(stories: list[_Story]) -> Iterator[list[_Story]]:
    """Those that ended alike within a minute of each other."""
    group: list[_Story] = []
    for story in sorted(stories, key=lambda s: (s.why, bool(s.offline), _onset(s), s.workspace_id)):
        if group and not (
            (group[-1].why, bool(group[-1].offline)) == (story.why, bool(story.offline))
            and _onset(story) - _onset(group[-1]) <= _TOGETHER_S
        ):
            yield group
            group = []
        group.append(story)
    if group:
        yield group


def _onset(story: _Story) -> float:
    return story.since("offline", "503")


def _down(group: list[_Story], outages: list[Window]) -> Incident:
    began = min(map(_onset, group))
    offline = any(story.offline for story in group)
    requests = sum(story.span.tallies["503"] for story in group)
    workspaces = tuple(sorted(story.workspace_id for story in group))
    back = [story.back for story in group if story.back]
    ended_together = len(group) > 1 and group[0].most("offline ") in ("exited", "dead")
    with_engine = ended_together and any(
        window.ended is not None and abs(began - window.ended) <= SLACK_S for window in outages
    )
    ended: float | None = max(story.span.last for story in group)
    if offline:
        ended = max(back) if len(back) == len(group) else None
    return Incident(
        kind=Kind.CONTAINER_DOWN,
        fault=Fault.DOCKER if with_engine else Fault.WORKSPACE,
        entries=(
            *([Entry.CONTAINER_DIED] if offline else []),
            *([Entry.CONTAINER_STOPPED] if requests else []),
        ),
        began=began,
        ended=ended,
        summary=f"{whom(workspaces)} "
        + (_went(group[0]) if offline else "did not run")
        + f": {group[0].why}"
        + (", when Docker came back without its containers" if with_engine else "")
        + (f"; {_return(group, back, began)}" if offline else "")
        + (f"; {many(requests, 'request')} got 503" if requests else ""),
        workspaces=workspaces,
        requests=requests,
        counts=dict(sum((Counter({"offline": story.offline}) for story in group), Counter())),
    )


def _return(group: list[_Story], back: list[float], began: float) -> str:
    if len(back) == len(group):
        return f"online again after {lasting(max(back) - began)}"
    if not back:
        return "not online again since"
    return f"{len(back)} are online again, {len(group) - len(back)} are not"


def _refused(story: _Story) -> str:
    requests = story.span.tallies["503"]
    return f"; {many(requests, 'request')} got 503" if requests else ""


def _went(story: _Story) -> str:
    return f"would be offline{_would(story)}" if story.span.tallies["would"] else "went offline"


def _would(story: _Story) -> str:
    return " (only observed: SWEEP_WRITE is off)" if story.span.tallies["would"] else ""


def _beginning(tallies: Mapping[str, int], prefix: str) -> dict[str, int]:
    """Those that begin so, without that beginning, in the order of their names."""
    return {
        name.removeprefix(prefix): count for name, count in sorted(tallies.items()) if name.startswith(prefix)
    }


def flapping(facts: Facts) -> list[tuple[str, int, int, dict[str, int]]]:
    """Workspaces that went offline more than once: how often, how often online, and why; the worst first."""
    found = []
    for workspace_id, workspace in facts.workspaces.items():
        tallies: Counter[str] = Counter()
        for span in workspace.states:
            tallies.update(span.tallies)
        if tallies["offline"] > 1:
            why = _beginning(tallies, "offline ")
            found.append((workspace_id, tallies["offline"], tallies["online"], why))
    return sorted(found, key=lambda row: (-row[1], row[0]))
