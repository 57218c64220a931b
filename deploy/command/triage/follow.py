"""Incidents as they open and close, while the log is written."""

import json
import time
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from deploy.command.triage.harmless import harmless
from deploy.command.triage.incident import Fault, Incident
from deploy.command.triage.intake import Intake
from deploy.command.triage.report import incident_as_json
from deploy.command.triage.times import clock, lasting, moment
from deploy.command.triage.verdict import incidents
from deploy.handbook import where

_EVERY_S = 1.0
"""So often at most it is judged anew, while lines come without a pause."""

Which = tuple[str, str, tuple[str, ...]]


class Change(NamedTuple):
    """An incident that has opened or closed, and when (seconds since 1970) that was noticed."""

    what: Literal["open", "closed"]
    at: float
    incident: Incident


class Watch:
    """Remembers which incidents are open, and tells what has changed."""

    def __init__(self) -> None:
        self._open: dict[Which, Incident] = {}
        self._told: dict[Which, float] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether the end of something is still to be told."""
        return bool(self._open)

    def changes(self, found: Iterable[Incident], now: float) -> Iterator[Change]:
        """What has opened and what has closed since the last time, given all incidents up to `now`."""
        newest: dict[Which, Incident] = {}
        for incident in found:
            which = _which(incident)
            if which not in newest or newest[which].began <= incident.began:
                newest[which] = incident
        for which, incident in newest.items():
            closed = _is_over(incident, now)
            known = self._open.get(which)
            if closed and known is not None:
                del self._open[which]
                self._told[which] = now
                yield Change("closed", now, incident)
            elif known is not None:
                self._open[which] = incident
            elif not closed or (incident.ended or 0) > self._told.get(which, float("-inf")):
                self._told[which] = now
                yield Change("open", now, incident)
                if closed:
                    yield Change("closed", now, incident)
                else:
                    self._open[which] = incident

    def start(self, found: Iterable[Incident], now: float) -> Iterator[Change]:
        """Those that are open when one begins to look; what is over by then is not told."""
        still = [incident for incident in found if not _is_over(incident, now)]
        yield from self.changes(still, now)
        for incident in found:
            self._told.setdefault(_which(incident), now)


def _which(incident: Incident) -> Which:
    """What makes two views of an incident one: whom it hits may grow, unless it is somebody's own."""
    own = incident.fault in (Fault.WORKSPACE, Fault.AGENT) and len(incident.workspaces) == 1
    return incident.kind, incident.fault, incident.workspaces if own else ()


def _is_over(incident: Incident, now: float) -> bool:
    return incident.ended is not None and now - incident.ended >= incident.quiet_s


def follow(intake: Intake, lines: Iterable[bytes | None], *, as_json: bool) -> Iterator[str]:
    """What to print: what is open already, then each change. None in `lines` is a moment without any."""
    watch = Watch()
    judged, started, fresh = time.monotonic(), False, True
    for raw in lines:
        if raw is not None:
            intake.take(raw)
            fresh = True
            if not started or time.monotonic() - judged < _EVERY_S:
                continue
        if fresh or watch.is_waiting:
            yield from _judged(watch, intake, started=started, as_json=as_json)
            judged, started, fresh = time.monotonic(), True, False
    yield from _judged(watch, intake, started=started, as_json=as_json)


def _judged(watch: Watch, intake: Intake, *, started: bool, as_json: bool) -> Iterator[str]:
    found, now = incidents(intake.facts), time.time()
    for change in watch.changes(found, now) if started else watch.start(found, now):
        yield _as_json(change) if as_json else _as_text(change)


def _as_json(change: Change) -> str:
    return json.dumps({"change": change.what, "at": moment(change.at), **incident_as_json(change.incident)})


def _as_text(change: Change) -> str:
    incident = change.incident
    summary = f"{incident.fault.whose}: {harmless(incident.summary)}"
    if change.what == "open":
        return f"{clock(change.at)}  open    {summary}; {' '.join(map(where, incident.entries))}"
    return f"{clock(change.at)}  closed  {summary}; after {lasting(incident.lasted or 0)}"
