"""Incidents told while they happen: in a file that grows and is rotated, in a pipe, in the journal."""

import json
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy.command.triage.follow import Watch, follow
from deploy.command.triage.growing import growing
from deploy.command.triage.intake import Intake
from shared.moments import rfc3339
from tests.deploy.triage.operator import following, journal_stand_in, refused
from tests.deploy.triage.reading import ONE, OTHER, incidents_of, said


def now(event: str, *, process: str = "sweeper", level: str = "warning", **keys: Any) -> str:
    ts = rfc3339(datetime.now(UTC))
    return json.dumps({"ts": ts, "level": level, "process": process, "event": event, **keys}) + "\n"


AWAY: dict[str, Any] = {"event": "engine.unreachable", "reason": "timeout"}
BACK: dict[str, Any] = {"event": "engine.recovered", "down_s": 2.0}


def append(path: Path, **line: Any) -> None:
    with path.open("a") as file:
        file.write(now(**line))


def test_a_file_that_grows_tells_what_opens_and_closes(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text(now("sweep.held", would_mark_offline=6, of=6))
    with following(str(log)) as process:
        assert process.stdout
        held = process.stdout.readline()
        assert "open    the configuration's: the brake held (6 of 6" in held
        assert "troubleshooting.md#nothing-is-marked-offline-sweepheld" in held
        append(log, **AWAY)
        assert "open    Docker's: engine away (timeout)" in process.stdout.readline()
        append(log, **BACK)
        assert "closed  Docker's: engine away (timeout): 0 requests" in process.stdout.readline()


@pytest.mark.parametrize("way", ["renamed", "copied"])
def test_a_file_that_is_rotated_is_followed(way: str, tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text(now("sweep.completed", level="info") * 50)
    with following(str(log)) as process:
        assert process.stdout
        append(log, **AWAY)
        assert "open    Docker's" in process.stdout.readline()
        if way == "renamed":
            log.rename(tmp_path / "run.log.1")
            append(tmp_path / "run.log.1", event="sweep.held", would_mark_offline=6, of=6)
            time.sleep(0.6)
        else:
            append(log, event="sweep.held", would_mark_offline=6, of=6)
        assert "open    the configuration's" in process.stdout.readline()
        log.write_text("")
        append(log, **BACK)
        assert "closed  Docker's" in process.stdout.readline()


def test_a_pipe_is_followed_to_its_end_and_json_is_a_line_for_each_change() -> None:
    with following("-", "--json", stdin=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdin
        for line, change in ((AWAY, "open"), (BACK, "closed")):
            process.stdin.write(f"{now(**line)}no line of ours\n")
            process.stdin.flush()
            told = json.loads(process.stdout.readline())
            assert (told["change"], told["kind"], told["fault"]) == (change, "engine_away", "docker")
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def test_the_journal_is_followed(tmp_path: Path) -> None:
    entry = json.dumps({"MESSAGE": now(**AWAY)})
    path = journal_stand_in(tmp_path, f"cat <<'END'\n{entry}\nEND\nexec sleep 60")
    with following(path=path) as process:
        assert process.stdout
        assert "open    Docker's" in process.stdout.readline()
    asked = (tmp_path / "asked").read_text()
    assert "--follow" in asked
    assert "--since=@" in asked


def test_a_journal_that_cannot_be_followed_is_no_quiet_one(tmp_path: Path) -> None:
    path = journal_stand_in(tmp_path, "exit 3")
    assert refused("--follow", path=path) == "healthsweep: journalctl ended with status 3"


class TestWatch:
    LOOP = (said("workspace.marked_offline", 0, workspace_id=ONE, reason="restarting", exit_code=1),)
    OVER = (*LOOP, said("workspace.marked_online", 30, workspace_id=ONE, reason="running"))

    def at(self, seconds: float) -> float:
        return incidents_of(self.LOOP)[0].began + seconds

    def test_each_is_told_once(self) -> None:
        watch = Watch()
        loop, over = incidents_of(self.LOOP), incidents_of(self.OVER)
        told = [
            [change.what for change in watch.changes(found, self.at(seconds))]
            for found, seconds in ((loop, 1), (loop, 2), (over, 40), (over, 700), (over, 800))
        ]
        assert told == [["open"], [], [], ["closed"], []]  # a loop is over when it has been quiet for a while

    def test_what_was_over_before_anybody_looked_is_not_told_but_the_next_one_is(self) -> None:
        watch = Watch()
        assert list(watch.changes(incidents_of(self.OVER), self.at(9000))) == []
        again = [*self.OVER, said("workspace.marked_offline", 9100, workspace_id=ONE, reason="exited")]
        assert [change.what for change in watch.changes(incidents_of(again), self.at(9101))] == ["open"]

    def test_one_that_opened_and_closed_between_two_looks_is_told_whole_and_once(self) -> None:
        watch = Watch()
        bad = [said("sweep.aborted", 10, level="warning", reason="timeout", remaining=3)]
        told = [[c.what for c in watch.changes(incidents_of(bad), self.at(at))] for at in (5, 41, 42, 80)]
        assert told == [["open"], ["closed"], [], []]
        late = Watch()
        assert [c.what for c in late.changes(incidents_of(bad), self.at(42))] == ["open", "closed"]
        assert list(late.changes(incidents_of(bad), self.at(43))) == []

    def test_one_that_becomes_part_of_a_larger_one_is_told_as_that(self) -> None:
        watch = Watch()
        one = said("workspace.marked_offline", 0, workspace_id=ONE, reason="exited", exit_code=137)
        other = said("workspace.marked_offline", 5, workspace_id=OTHER, reason="exited", exit_code=137)
        list(watch.changes(incidents_of([one]), self.at(1)))
        (change,) = watch.changes(incidents_of([one, other]), self.at(6))
        assert change.incident.workspaces == (ONE, OTHER)
        back = [said("workspace.marked_online", 9, workspace_id=i, reason="running") for i in (ONE, OTHER)]
        told = watch.changes(incidents_of([one, other, *back]), self.at(10))
        assert [change.what for change in told] == ["closed"]
        assert not watch.is_waiting


def test_lines_come_whole_however_they_are_written(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    line = now(**AWAY)
    log.write_text(line[:40])
    with growing([str(log)], None) as lines:
        assert next(lines) is None
        with log.open("a") as file:
            file.write(line[40:] + line[:10])
        assert next(lines) == line.rstrip().encode()
        assert next(lines) is None


def test_while_lines_pour_in_it_is_judged_now_and_then() -> None:
    lines = [None] * 3 + [*[now("sweep.completed", level="info").encode()] * 5000, now(**AWAY).encode(), None]
    told = list(follow(Intake(), lines, as_json=False))
    assert len(told) == 1
