"""The answer of `why`: ten lines for a person, or one document for a program."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from deploy.command.why import words
from deploy.command.why.case import Case
from deploy.command.why.prospects import prospects
from deploy.command.why.remarks import Remark, remarks
from deploy.handbook import Entry, where
from shared.errors import EngineError
from shared.running import NotRunning, Running

_LINES = 10


def document(case: Case) -> dict[str, Any]:
    """What programs read; keys are added, never renamed."""
    facts, said = case.facts, remarks(case)
    observation = facts.observation
    return {
        "id": facts.id,
        "name": facts.name,
        "runtime": facts.runtime,
        "kind": case.kind,
        "status": facts.status,
        "since": observation and observation.at,
        "observation": observation and asdict(observation),
        "before": facts.before and asdict(facts.before) if observation else None,
        "now": _seen(case.look),
        "heartbeat": {
            "last_at": facts.last_heartbeat_at,
            "age_s": _finite(facts.heartbeat_age_s),
            "silent_s": _finite(facts.silent_s),
            "stale_after_s": case.settings.remote_liveness_stale_after,
            "api_seen_s": facts.api_seen_s,
            "heard": not facts.deaf and facts.api_seen_s is not None,
        },
        "sweeper": {**asdict(case.pulse), "writes": case.settings.sweep_write},
        "remarks": [{"code": each.code, "says": each.says, "handbook": where(each.entry)} for each in said],
        "would_change": prospects(case),
        "handbook": where(_entry(said)),
    }


def _seen(look: Running | NotRunning | EngineError | None) -> dict[str, Any] | None:
    match look:
        case None:
            return None
        case Running():
            return {"outcome": "running", **asdict(look)}
        case NotRunning():
            return {"outcome": "not_running", **asdict(look)}
        case EngineError():
            return {"outcome": "unknown", "reason": look.reason, "detail": look.detail, "status": look.status}


def lines(case: Case) -> list[tuple[str, str]]:
    """What a person reads: a word and a sentence each, what is certain before what it means.

    There are ten at most, so not every remark has one; `document` has them all.
    """
    facts, said = case.facts, remarks(case)
    runtime = facts.runtime or "not readable"
    certain = [("workspace", f"{facts.name or '(no name)'}  {facts.id}  runtime {runtime}"), *_status(case)]
    if case.look is not None:
        certain.append(("now", words.look(case.look)))
    elif case.kind == "external":
        certain.append(("now", "external: there is no container here to look at"))
    rest = [
        ("heartbeat", _heartbeat(case)),
        ("sweeper", _sweeper(case)),
        ("changes by", "; or ".join(prospects(case))),
        ("handbook", where(_entry(said))),
    ]
    room = _LINES - len(certain) - len(rest)
    return [*certain, *(("so", each.says) for each in said[:room]), *rest]


def _status(case: Case) -> Iterator[tuple[str, str]]:
    facts, observation = case.facts, case.facts.observation
    if observation is None:
        yield "status", f"{facts.status}, since when and why is not known: it was not written here"
        return
    since = f"since {words.moment(observation.at)}, {words.lasting(observation.age_s)} ago"
    yield "status", f"{facts.status} {since}"
    yield "because", f"{words.reason(observation)}; {words.detected_by(observation)}"
    if facts.before is not None:
        lasted = words.lasting(facts.before.age_s - observation.age_s)
        yield "before", f"{observation.from_status} for {lasted}: {words.reason(facts.before)}"
    elif observation.from_status is not None:
        yield "before", f"{observation.from_status}, written by another program"


def _heartbeat(case: Case) -> str:
    facts = case.facts
    age = _finite(facts.heartbeat_age_s)
    last = "never" if age is None else f"{words.lasting(age)} ago"
    if case.kind == "external":
        last += f"; offline after {words.lasting(case.settings.remote_liveness_stale_after)} of silence"
    if facts.api_seen_s is None:
        return f"{last}; no api ever listened on this database"
    ears = "nobody listens: the api was last seen" if facts.deaf else "the api listens, seen"
    return f"{last}; {ears} {words.lasting(facts.api_seen_s)} ago"


def _sweeper(case: Case) -> str:
    pulse = case.pulse
    doing = {
        "sweeping": "sweeps",
        "starting": "has just begun, or waits",
        "late": "does not sweep",
        "silent": "hangs",
        "away": "does not run",
        "unknown": "not known whether it runs",
    }[pulse.state]
    notes = [pulse.says]
    if not case.settings.sweep_write:
        notes.append("SWEEP_WRITE is off: it writes nothing")
    if pulse.holds:
        notes.append("the brake holds")
    return f"{doing}: {'; '.join(notes)}"


def _finite(seconds: float | None) -> float | None:
    """`seconds`, or None for what JSON cannot say; a remark tells of it."""
    return seconds if seconds is not None and math.isfinite(seconds) else None


def _entry(said: list[Remark]) -> Entry:
    """Where to read on; who asks about a workspace that is well has an agent that does not answer."""
    return said[0].entry if said else Entry.AGENT_DEAD_INSIDE
