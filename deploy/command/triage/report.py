"""Everything that triage answers, as one value, and as the JSON that programs may rely on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.command.triage.callers import refused_external
from deploy.command.triage.facts import Facts, Sample, Sweep
from deploy.command.triage.incident import Incident
from deploy.command.triage.intake import Intake
from deploy.command.triage.lines import Line
from deploy.command.triage.timeline import Timeline, timeline
from deploy.command.triage.times import moment
from deploy.command.triage.verdict import in_a_sentence, incidents
from deploy.command.triage.workspaces import flapping
from deploy.handbook import where

VERSION = 1
"""Of the JSON: keys may be added to it, none is renamed or removed without another number."""

_COLUMNS = 60
_LEVELS = ("critical", "error", "warning")


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of the lines, and what follows; `story` are the lines of the one that was asked for."""

    facts: Facts
    incidents: list[Incident]
    earlier: int
    workspace: str | None = None
    request: str | None = None
    story: tuple[Line, ...] = ()

    @classmethod
    def of(cls, intake: Intake) -> "Report":
        """The report on all lines that were taken. Raises BadQuestion."""
        intake.check()
        return cls(
            facts=intake.facts,
            incidents=incidents(intake.facts),
            earlier=intake.earlier,
            workspace=min(intake.seen, default=None),
            request=intake.request,
            story=tuple(intake.story()),
        )

    @property
    def verdict(self) -> str:
        """How many incidents there were, and whose."""
        return in_a_sentence(self.incidents) if self.facts.lines else "There is no line to judge by."

    @property
    def errors(self) -> list[tuple[str, str, Sample]]:
        """Event, code and what was seen of it: the levels that ask most first, then the most frequent."""
        found = [(event, code, sample) for (event, code), sample in self.facts.samples.items()]
        return sorted(found, key=lambda row: (_rank(row[2].level), -row[2].count, row[0], row[1]))

    def timeline(self, columns: int) -> Timeline | None:
        """When what happened, in so many columns."""
        return timeline(self.facts, self.incidents, columns=columns)


def _rank(level: str) -> int:
    return _LEVELS.index(level) if level in _LEVELS else len(_LEVELS)


def as_json(report: Report) -> dict[str, Any]:
    """The document that `--json` prints: docs/handbook/triage.md names its keys."""
    facts = report.facts
    extent = facts.extent
    line = report.timeline(_COLUMNS)
    return {
        "version": VERSION,
        "verdict": report.verdict,
        "read": {
            "lines": facts.lines,
            "from": moment(extent[0]) if extent else None,
            "to": moment(extent[1]) if extent else None,
            "skipped": dict(sorted(facts.skipped.items())),
            "earlier": report.earlier,
        },
        "workspace_id": report.workspace,
        "request_id": report.request,
        "incidents": [incident_as_json(incident) for incident in report.incidents],
        "errors": [_error(event, code, sample) for event, code, sample in report.errors],
        "slowest_sweeps": [_sweep(sweep) for sweep in facts.slowest],
        "flapping": [
            {"workspace_id": workspace_id, "offline": offline, "online": online, "reasons": reasons}
            for workspace_id, offline, online, reasons in flapping(facts)
        ],
        "refused_external": [
            {"workspace_id": workspace_id, "count": count, "first": moment(first), "last": moment(last)}
            for workspace_id, count, first, last in refused_external(facts)
        ],
        "auth_rejected": _tallies(facts, "rejected"),
        "rate_limited": sum(_tallies(facts, "limited").values()),
        "timeline": line and _timeline(line),
        "lines": [dict(line.keys) for line in report.story],
    }


def incident_as_json(incident: Incident) -> dict[str, Any]:
    """One incident; `until` is null while it goes on."""
    return {
        "kind": incident.kind,
        "fault": incident.fault,
        "from": moment(incident.began),
        "until": None if incident.ended is None else moment(incident.ended),
        "summary": incident.summary,
        "workspaces": list(incident.workspaces),
        "requests": incident.requests,
        "counts": dict(incident.counts),
        "handbook": [where(entry) for entry in incident.entries],
    }


def _error(event: str, code: str, sample: Sample) -> dict[str, Any]:
    return {
        "event": event,
        "code": code or None,
        "level": sample.level,
        "count": sample.count,
        "first": moment(sample.first),
        "last": moment(sample.last),
        "example": dict(sample.example),
    }


def _sweep(sweep: Sweep) -> dict[str, Any]:
    return {**sweep._asdict(), "at": moment(sweep.at)}


def _tallies(facts: Facts, trouble: str) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for span in facts.spans(trouble):
        for name, count in span.tallies.items():
            found[name] = found.get(name, 0) + count
    return dict(sorted(found.items()))


def _timeline(line: Timeline) -> dict[str, Any]:
    return {
        "from": moment(line.began),
        "to": moment(line.ended),
        "lanes": [
            {"name": lane.name, "form": lane.form, "total": lane.total, "values": list(lane.values)}
            for lane in line.lanes
        ],
    }
