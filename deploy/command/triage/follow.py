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

_PAUSES = 3
_NEWS_S = 15.0

Which = tuple[str, str, tuple[str, ...]]


class Change(NamedTuple):
    """An incident that has opened or closed, and when (seconds since 1970) that was noticed."""

    what: Literal["open", "closed"]
    at: float
    incident: Incident


class Watch:
    """Remembers which incidents are open, and tells what has changed."""

    def __init__(self) -> None:
        self._open: set[Which] = set()
        self._told: dict[Which, float] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether the end of something is still to be told."""
        return bool(self._open)

    def changes(self, found: Iterable[Incident], now: float) -> Iterator[Change]:
        """What has opened and what has closed since the last time, given all incidents up to `now`.

        What was over long before anybody looked is not told.
        """
        newest: dict[Which, Incident] = {}
        for incident in found:
            which = _which(incident)
            if which not in newest or newest[which].began <= incident.began:
                newest[which] = incident
        self._open &= newest.keys()  # one that has become part of a larger one is told as that
        for which, incident in newest.items():
            over = _is_over(incident, now)
            if which not in self._open and (not over or self._is_news(which, incident, now)):
                self._open.add(which)
                yield Change("open", now, incident)
            if which in self._open and over:
                self._open.remove(which)
                self._told[which] = now
                yield Change("closed", now, incident)

    def _is_news(self, which: Which, incident: Incident, now: float) -> bool:
        """Whether it is over, but opened and closed between two looks."""
        ended = incident.ended or now
        return ended + incident.quiet_s > max(now - _NEWS_S, self._told.get(which, 0.0))


def _which(incident: Incident) -> Which:
    """What makes two views of an incident one: whom it hits may grow, unless it is somebody's own."""
    own = incident.fault in (Fault.WORKSPACE, Fault.AGENT) and len(incident.workspaces) == 1
    return incident.kind, incident.fault, incident.workspaces if own else ()


def _is_over(incident: Incident, now: float) -> bool:
    return incident.ended is not None and now - incident.ended >= incident.quiet_s


def follow(intake: Intake, lines: Iterable[bytes | None], *, as_json: bool) -> Iterator[str]:
    """What to print: what is open already, then each change. None in `lines` is a moment without any.

    Nothing is judged before what is there has been read, which shows in some moments without a line.
    """
    watch = Watch()
    judged, fresh, pauses = time.monotonic(), True, 0
    for raw in lines:
        if raw is None:
            pauses += 1
        else:
            intake.take(raw)
            fresh = True
            if time.monotonic() - judged < _EVERY_S:
                continue
        if pauses >= _PAUSES and (fresh or watch.is_waiting):
            yield from _judged(watch, intake, as_json=as_json)
            judged, fresh = time.monotonic(), False
    yield from _judged(watch, intake, as_json=as_json)


def _judged(watch: Watch, intake: Intake, *, as_json: bool) -> Iterator[str]:
    for change in watch.changes(incidents(intake.facts), time.time()):
        yield _as_json(change) if as_json else _as_text(change)


def _as_json(change: Change) -> str:
    return json.dumps({"change": change.what, "at": moment(change.at), **incident_as_json(change.incident)})


def _as_text(change: Change) -> str:
    incident = change.incident
    summary = f"{incident.fault.whose}: {harmless(incident.summary)}"
    if change.what == "open":
        return f"{clock(change.at)}  open    {summary}; {' '.join(map(where, incident.entries))}"
    return f"{clock(change.at)}  closed  {summary}; after {lasting(incident.lasted or 0)}"
