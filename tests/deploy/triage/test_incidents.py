"""Verdicts on what no kept log shows: services that end, lines that are lost, causes that overlap."""

from typing import Any

import pytest

from deploy.command.triage.incident import Fault, Incident, Kind
from deploy.command.triage.times import since
from tests.deploy.triage.reading import BEGAN, ONE, OTHER, incidents_of, report_of, said, text_of

START = BEGAN.timestamp()


def sweeps(began: int, ended: int, **keys: Any) -> list[str]:
    """One every 15 s."""
    known: dict[str, Any] = {"duration_ms": 9.0, "list_ms": 4.0, "checked": 3, **keys}
    return [said("sweep.completed", at, **known) for at in range(began, ended, 15)]


def started(at: float, process: str = "sweeper") -> str:
    return said("process.started", at, process=process, settings={"SWEEP_INTERVAL": 15.0})


def answered(at: float, status: int, code: str, workspace: str = ONE) -> str:
    return said("request.completed", at, process="api", status=status, code=code, workspace_id=workspace)


def transient(at: float, workspace: str = ONE, reason: str = "timeout") -> list[str]:
    keys: dict[str, Any] = {"reason": reason, "answer": "503", "workspace_id": workspace}
    return [
        said("container.check_transient", at, process="api", level="warning", **keys),
        answered(at, 503, "container_engine_unavailable", workspace),
    ]


def offline(at: float, workspace: str = ONE, reason: str = "exited", **keys: Any) -> str:
    return said("workspace.marked_offline", at, workspace_id=workspace, reason=reason, **keys)


def online(at: float, workspace: str = ONE, reason: str = "running") -> str:
    return said("workspace.marked_online", at, workspace_id=workspace, reason=reason)


def only(lines: list[str]) -> Incident:
    (incident,) = incidents_of(lines)
    return incident


class TestServices:
    def test_a_start_without_a_stop_before_was_a_kill(self) -> None:
        incident = only([started(0), *sweeps(1, 60), started(61)])
        assert (incident.kind, incident.fault) == (Kind.SERVICE_KILLED, Fault.HOST)

    def test_so_is_a_start_after_lines_of_an_earlier_life(self) -> None:
        assert only([*sweeps(0, 60), started(61)]).kind == Kind.SERVICE_KILLED

    def test_the_first_start_is_none(self) -> None:
        assert incidents_of([started(0), *sweeps(1, 60)]) == []

    @pytest.mark.parametrize(
        ("text", "way"),
        [
            ("healthsweep: sweeper was ended by SIGKILL: starting it again in 1 s", "SIGKILL"),
            ("healthsweep-sweeper.service: Main process exited, code=killed, status=9/KILL", "SIGKILL"),
            (
                "healthsweep-sweeper.service: A process of this unit has been killed by the OOM killer.",
                "memory",
            ),
        ],
    )
    def test_its_manager_says_how(self, text: str, way: str) -> None:
        incident = only([started(0), text, started(61)])
        assert way in incident.summary
        assert incident.fault == Fault.HOST

    def test_what_the_watchdog_ends_hung(self) -> None:
        text = "healthsweep-sweeper.service: Watchdog timeout (limit 1min 30s)!"
        assert only([started(0), text, started(61)]).fault == Fault.HEALTHSWEEP

    def test_in_order_it_is_a_restart(self) -> None:
        ends = [
            said("process.stopping", 50, signal="SIGTERM"),
            said("process.stopped", 50.1, duration_s=50.1),
        ]
        incident = only([started(0), *ends, started(52)])
        assert (incident.kind, incident.fault) == (Kind.SERVICE_RESTARTED, Fault.OPERATOR)

    def test_one_that_stays_away_while_the_other_runs_is_open(self) -> None:
        lines = [started(0), started(0, "api"), said("process.stopped", 50, duration_s=50)]
        incident = only([*lines, *(answered(at, 200, "") for at in range(0, 200, 20))])
        assert (incident.kind, incident.ended) == (Kind.SERVICE_STOPPED, None)
        assert incidents_of([*lines, said("process.stopped", 51, process="api", duration_s=51)]) == []

    def test_a_crash_is_a_bug_and_names_the_exception(self) -> None:
        crash = said(
            "process.crashed", 30, level="critical", exception=[{"exc_type": "KeyError", "exc_value": "'x'"}]
        )
        incident = only([started(0), crash, started(31)])
        assert (incident.kind, incident.fault) == (Kind.SERVICE_CRASHED, Fault.HEALTHSWEEP)
        assert "KeyError" in incident.summary

    def test_silence_of_the_sweeper_that_nothing_explains_is_ours(self) -> None:
        incident = only([started(0), *sweeps(1, 100), *sweeps(700, 800)])
        assert (incident.kind, incident.fault) == (Kind.SWEEPER_SILENT, Fault.HEALTHSWEEP)
        assert "10 m" in incident.summary

    def test_silence_until_the_end_is_open(self) -> None:
        lines = [started(0), *sweeps(1, 100), started(0, "api"), answered(600, 200, "")]
        assert only(lines).ended is None

    @pytest.mark.parametrize("event", ["database.unreachable", "database.recovered"])
    def test_silence_is_explained_by_a_database_that_was_away(self, event: str) -> None:
        away = said(event, 90 if event == "database.unreachable" else 690, down_s=600)
        lines = [started(0), *sweeps(1, 100), away, *sweeps(700, 800)]
        assert [incident.kind for incident in incidents_of(lines)] == [Kind.DATABASE_AWAY]

    def test_silence_is_explained_by_a_sweeper_that_was_stopped(self) -> None:
        lines = [started(0), *sweeps(1, 100), said("process.stopped", 101), started(690), *sweeps(700, 800)]
        assert [incident.kind for incident in incidents_of(lines)] == [Kind.SERVICE_RESTARTED]

    def test_with_a_long_interval_silence_says_nothing(self) -> None:
        slow = said("process.started", 0, settings={"SWEEP_INTERVAL": 600.0})
        assert incidents_of([slow, *sweeps(0, 10), *sweeps(600, 610), *sweeps(1200, 1210)]) == []


class TestDocker:
    def test_whose_beginning_is_lost_began_when_its_end_says(self) -> None:
        incident = only([said("engine.recovered", 300, down_s=120.0), *transient(200)])
        assert (incident.began, incident.ended) == (START + 180, START + 300)
        assert incident.summary.startswith("engine away (timeout): 1 request got 503")

    def test_without_an_end_it_goes_on(self) -> None:
        assert only([said("engine.unreachable", 10, level="warning", reason="timeout")]).ended is None

    def test_a_restart_of_the_sweeper_does_not_cut_it_in_two(self) -> None:
        away = [said("engine.unreachable", at, level="warning", reason="timeout") for at in (10, 55)]
        restart = [said("process.stopped", 50, duration_s=9), started(52)]
        found = incidents_of([started(0), *away, *restart, said("engine.recovered", 90, down_s=35)])
        engine = [incident for incident in found if incident.kind == Kind.ENGINE_AWAY]
        assert [(incident.began, incident.ended) for incident in engine] == [(START + 10, START + 90)]

    def test_what_the_command_saw_is_a_moment(self) -> None:
        seen = said("engine.unreachable", 10, process="command", level="warning", reason="unreachable")
        assert only([seen]).ended == START + 10

    def test_a_mark_during_it_is_told(self) -> None:
        lines = [
            said("engine.unreachable", 10, level="warning", reason="timeout"),
            offline(50),
            online(70),
            said("engine.recovered", 90, down_s=80),
        ]
        away = next(i for i in incidents_of(lines) if i.kind == Kind.ENGINE_AWAY)
        assert "1 workspace marked all the same" in away.summary

    def test_a_mark_just_before_it_is_not(self) -> None:
        lines = [
            offline(8),
            said("engine.unreachable", 10, level="warning", reason="timeout"),
            said("engine.recovered", 90, down_s=80),
            online(92),
        ]
        away = next(i for i in incidents_of(lines) if i.kind == Kind.ENGINE_AWAY)
        assert "no workspace was marked" in away.summary

    def test_an_agent_that_fell_silent_meanwhile_is_no_mark_of_a_container(self) -> None:
        away = said("engine.unreachable", 10, level="warning", reason="timeout")
        found = incidents_of([away, offline(50, reason="heartbeat_stale")])
        assert "no workspace was marked" in next(i for i in found if i.kind == Kind.ENGINE_AWAY).summary

    def test_what_follows_from_it_is_no_news(self) -> None:
        lines = [
            said("engine.unreachable", 10, level="warning", reason="timeout"),
            said("sweep.aborted", 12, level="warning", reason="timeout", remaining=40),
            said("sweep.overran", 15, level="warning", interval_ms=15000, late_ms=3000),
            *transient(20),
            said("plugin.install_failed", 20, level="warning", code="container_engine_unavailable"),
            said("engine.recovered", 40, down_s=30),
        ]
        assert only(lines).kind == Kind.ENGINE_AWAY

    def test_two_outages_that_are_apart_are_two(self) -> None:
        lines = [
            said(event, at, level="warning", reason="timeout", down_s=10)
            for at in (0, 60)
            for event, at in (("engine.unreachable", at), ("engine.recovered", at + 10))
        ]
        assert [incident.lasted for incident in incidents_of(lines)] == [10, 10]

    def test_several_unanswered_without_an_outage_are_docker_as_a_whole(self) -> None:
        incident = only([*transient(10), *transient(12, OTHER)])
        assert (incident.kind, incident.requests) == (Kind.ENGINE_UNANSWERED, 2)

    def test_that_docker_listed_meanwhile_is_said_only_if_it_did(self) -> None:
        asked = [line for at in range(0, 60, 10) for line in transient(at)]
        told = "Docker listed its containers meanwhile"
        assert told in only([started(0), *asked, *sweeps(1, 50, running=3)]).summary
        assert told not in only([started(0), *asked, *sweeps(1, 50, unknown=3)]).summary
        assert told not in only([started(0), *asked, *sweeps(70, 80, running=3)]).summary

    def test_a_sick_container_before_and_after_an_outage_is_not_the_outage_s(self) -> None:
        lines = [
            *(line for at in range(0, 600, 30) for line in transient(at)),
            said("engine.unreachable", 300, level="warning", reason="unreachable"),
            said("engine.recovered", 320, down_s=20),
            *transient(310, OTHER, "unreachable"),
        ]
        found = {incident.kind: incident for incident in incidents_of(lines)}
        assert found[Kind.ENGINE_AWAY].requests == 1
        assert found[Kind.CONTAINER_UNANSWERED].requests == 20

    def test_containers_that_did_not_come_back_with_it_are_its_fault(self) -> None:
        lines = [
            said("engine.unreachable", 10, level="warning", reason="unreachable"),
            said("engine.recovered", 40, down_s=30),
            offline(42, exit_code=137),
            offline(42, OTHER, exit_code=137),
        ]
        assert {incident.fault for incident in incidents_of(lines)} == {Fault.DOCKER}
        not_so = (
            [offline(42, exit_code=137)],
            [offline(42, reason="missing"), offline(42, OTHER, reason="missing")],
            [offline(99, exit_code=137), offline(99, OTHER, exit_code=137)],
        )
        for others in not_so:
            faults = {incident.fault for incident in incidents_of([*lines[:2], *others])}
            assert faults == {Fault.DOCKER, Fault.WORKSPACE}


class TestWorkspaces:
    def test_two_deaths_are_no_loop_and_three_are(self) -> None:
        lines = [line for at in (0, 60, 120) for line in (offline(at, exit_code=1), online(at + 30))]
        assert only(lines[:4]).kind == Kind.CONTAINER_DOWN
        assert only(lines).kind == Kind.CRASH_LOOP

    def test_deaths_far_apart_are_several_stories(self) -> None:
        lines = [line for at in (0, 4000, 8000) for line in (offline(at, exit_code=1), online(at + 30))]
        assert [incident.kind for incident in incidents_of(lines)] == [Kind.CONTAINER_DOWN] * 3

    def test_it_may_come_back_hours_later(self) -> None:
        incident = only([offline(0, exit_code=137), online(7200)])
        assert incident.ended == START + 7200
        assert "online again after 2 h" in incident.summary

    def test_docker_s_own_restarts_are_a_loop_at_once(self) -> None:
        assert only([offline(0, reason="restarting", exit_code=1)]).kind == Kind.CRASH_LOOP

    def test_a_degraded_agent_that_calls_has_called_again(self) -> None:
        degraded = said("workspace.marked_degraded", 90, process="api", workspace_id=ONE, reason="error_rate")
        found = {i.kind: i.ended for i in incidents_of([offline(0, reason="heartbeat_stale"), degraded])}
        assert found == {Kind.AGENT_SILENT: START + 90, Kind.DEGRADED: None}

    def test_many_at_the_same_moment_are_one_story(self) -> None:
        ids = [f"0b6f3c1e-9a2b-4c3d-8e4f-{number:012}" for number in range(40)]
        incident = only([offline(number / 10, i, exit_code=137) for number, i in enumerate(ids)])
        assert len(incident.workspaces) == 40
        assert incident.summary.startswith("40 workspaces went offline: exited, exit 137")

    def test_nobody_makes_it_grow_by_asking_for_ids(self) -> None:
        foreign = [
            answered(number, 401, "unauthorized", f"0b6f3c1e-9a2b-4c3d-8e4f-{number:012}")
            for number in range(50)
        ]
        away = [answered(60, 503, "platform_unavailable", OTHER)]
        assert report_of([*foreign, *away]).facts.workspaces == {}


class TestOneWorkspace:
    def test_only_its_own_and_everybody_s_lines_are_read(self) -> None:
        lines = [
            started(0),
            offline(10, exit_code=1),
            offline(10, OTHER, exit_code=1),
            said("engine.unreachable", 20, level="warning", reason="timeout"),
        ]
        report = report_of(lines, workspace=ONE)
        assert {incident.kind for incident in report.incidents} == {Kind.ENGINE_AWAY, Kind.CONTAINER_DOWN}
        assert [line.event for line in report.story] == ["workspace.marked_offline"]
        assert OTHER not in text_of(report)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", START - 1800),
        ("2h", START - 7200),
        ("1.5 d", START - 129600),
        ("09:30", START - 1800),
        ("10:30:00", START - 84600),
        ("2026-05-04", START - 36000),
        ("2026-05-04 09:59", START - 60),
        ("2026-05-04T11:59:00+02:00", START - 60),
    ],
)
def test_since_is_a_duration_or_a_time(text: str, seconds: float) -> None:
    assert since(text, BEGAN) == seconds
