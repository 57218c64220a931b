"""The verdicts on logs of real runs; and their whole reports, as they are kept."""

from collections.abc import Callable

import pytest

from deploy.command.triage.incident import Fault, Incident, Kind
from deploy.handbook import Entry
from tests.deploy.triage.golden import GOLDEN, reports
from tests.deploy.triage.reading import json_of, of_situation, report_of
from tests.situations import kept
from tests.situations.play import SITUATIONS
from tests.situations.scene import id_of

Verdict = list[tuple[Kind, Fault]]

RIGHT: dict[str, Verdict] = {
    "quiet": [],
    "agent_dead_inside": [],
    "agent_degraded": [(Kind.DEGRADED, Fault.AGENT)],
    "agent_silent": [(Kind.AGENT_SILENT, Fault.AGENT)],
    "container_killed": [(Kind.CONTAINER_DOWN, Fault.WORKSPACE)],
    "container_stopped_just_now": [(Kind.CONTAINER_DOWN, Fault.WORKSPACE)],
    "containers_all_gone": [
        (Kind.SWEEP_HELD, Fault.CONFIGURATION),
        (Kind.CONTAINER_DOWN, Fault.WORKSPACE),
    ],
    "crash_loop": [(Kind.CRASH_LOOP, Fault.WORKSPACE)],
    "database_away": [(Kind.DATABASE_AWAY, Fault.DATABASE)],
    "engine_frozen": [(Kind.ENGINE_AWAY, Fault.DOCKER)],
    "engine_killed": [(Kind.ENGINE_AWAY, Fault.DOCKER), (Kind.CONTAINER_DOWN, Fault.DOCKER)],
    "flapping": [(Kind.FLAPPING, Fault.OPERATOR)],
    "installs_fail": [
        (Kind.INSTALL_FAILED, Fault.WORKSPACE),
        *[(Kind.INSTALL_FAILED, Fault.CALLER)] * 4,
    ],
    "observing": [(Kind.CONTAINER_DOWN, Fault.WORKSPACE)],
    "one_sick_container": [(Kind.CONTAINER_UNANSWERED, Fault.DOCKER)],
    "pushes_to_external": [(Kind.EXTERNAL_REFUSED, Fault.CALLER)],
    "runtime_unreadable": [
        (Kind.RUNTIME_NOT_LOOKED_UP, Fault.DATABASE),
        (Kind.SERVICE_RESTARTED, Fault.OPERATOR),
    ],
    "settings_refused": [(Kind.SETTINGS_INVALID, Fault.CONFIGURATION)],
    "slow_sweeps": [(Kind.SWEEP_OVERRAN, Fault.DOCKER)],
    "table_locked": [
        (Kind.RUNTIME_NOT_LOOKED_UP, Fault.DATABASE),
        (Kind.SWEEP_OVERRAN, Fault.DATABASE),
    ],
    "tokens_refused": [(Kind.AUTH_REJECTED, Fault.CALLER), (Kind.RATE_LIMITED, Fault.CALLER)],
    "wrong_engine": [(Kind.SWEEP_HELD, Fault.CONFIGURATION), (Kind.SERVICE_RESTARTED, Fault.OPERATOR)],
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_verdict_is_right(name: str) -> None:
    found = report_of(of_situation(name)).incidents
    assert [(incident.kind, incident.fault) for incident in found] == RIGHT[name]


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_report_is_the_one_that_is_kept(name: str) -> None:
    """Right as it was when somebody looked at it; `python -m tests.deploy.triage.golden` keeps a new one."""
    for file, text in reports(name).items():
        assert text == (GOLDEN / file).read_text(), file


def test_no_report_is_kept_of_nothing() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(SITUATIONS)


@pytest.mark.parametrize("name", kept.IN_THE_JOURNAL)
def test_the_journal_form_says_the_same(name: str) -> None:
    entries = (kept.DATA / f"{name}.journal.jsonl").read_text().splitlines()
    assert json_of(report_of(entries)) == json_of(report_of(of_situation(name)))


def only(name: str) -> Incident:
    (incident,) = report_of(of_situation(name)).incidents
    return incident


def test_an_engine_that_was_away_cost_requests_and_marked_nobody() -> None:
    incident = only("engine_frozen")
    assert incident.summary == "engine away (timeout): 14 requests got 503, no workspace was marked"
    assert (incident.requests, incident.counts["marked"]) == (14, 0)
    assert incident.ended is not None


def test_a_crash_loop_tells_how_often_and_how() -> None:
    incident = only("crash_loop")
    assert incident.workspaces == (str(id_of("research-agent")),)
    assert "crash-looped 4 times, exit 1; still not stable" in incident.summary
    assert incident.ended is None


def test_pushes_to_external_workspaces_are_counted_for_each() -> None:
    rows = json_of(report_of(of_situation("pushes_to_external")))
    assert only("pushes_to_external").requests == 12
    for name, count in (("laptop-agent", 9), ("edge-agent", 3)):
        assert f'"workspace_id": "{id_of(name)}",\n   "count": {count},' in rows


FLAVOURS: dict[str, tuple[str, Callable[[Incident], bool]]] = {
    Entry.EXTERNAL_WORKSPACE: ("pushes_to_external", lambda i: i.kind == Kind.EXTERNAL_REFUSED),
    Entry.CONTAINER_STOPPED: ("container_stopped_just_now", lambda i: i.kind == Kind.CONTAINER_DOWN),
    Entry.ENGINE_COULD_NOT_ANSWER: ("engine_frozen", lambda i: i.kind == Kind.ENGINE_AWAY),
    Entry.RUNTIME_NOT_LOOKED_UP: ("table_locked", lambda i: i.kind == Kind.RUNTIME_NOT_LOOKED_UP),
}


@pytest.mark.parametrize(("entry", "played"), FLAVOURS.items())
def test_each_flavour_of_a_503_is_named(entry: Entry, played: tuple[str, Callable[[Incident], bool]]) -> None:
    name, is_it = played
    incident = next(filter(is_it, report_of(of_situation(name)).incidents))
    assert entry in incident.entries
