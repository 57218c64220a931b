"""`healthsweep triage` as a person runs it: from where it reads, what it can be asked, what it refuses."""

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.triage.operator import (
    ENTRY,
    FROZEN,
    IN_THE_JOURNAL,
    document,
    journal_stand_in,
    refused,
    run,
    says,
)
from tests.deploy.triage.reading import ONE, OTHER, of_situation, said
from tests.situations import kept
from tests.situations.scene import id_of
from tests.support.processes import CHECKOUT

VERDICT = "engine away (timeout): 14 requests got 503, no workspace was marked"


class TestSources:
    def test_files_that_are_named(self) -> None:
        found = document(FROZEN, str(kept.DATA / "crash_loop.jsonl"))
        assert {incident["kind"] for incident in found["incidents"]} >= {"engine_away", "crash_loop"}

    def test_standard_input_by_name_or_because_it_is_there(self) -> None:
        log = Path(FROZEN).read_bytes()
        assert says(stdin=log) == says("-", stdin=log) == says(FROZEN)
        with Path(FROZEN).open("rb") as file:
            assert says(stdin=file.fileno()) == says(FROZEN)

    def test_a_file_that_logrotate_has_packed(self, tmp_path: Path) -> None:
        packed = tmp_path / "run.log.1.gz"
        packed.write_bytes(gzip.compress(Path(FROZEN).read_bytes()))
        assert says(str(packed)) == says(FROZEN)

    def test_a_line_without_an_end_is_one_that_is_cut(self, tmp_path: Path) -> None:
        log = tmp_path / "run.log"
        endless = '{"ts": "' + "x" * (3 << 20)
        log.write_text(f"{endless}\n{said('sweep.held', 0, of=6)}\n")
        read = document(str(log))["read"]
        assert (read["lines"], read["skipped"]) == (1, {"cut": 1})

    def test_the_journal_if_there_is_nothing_else(self, tmp_path: Path) -> None:
        path = journal_stand_in(tmp_path, f"cat {IN_THE_JOURNAL}")
        assert says(path=path) == says(FROZEN)
        asked = (tmp_path / "asked").read_text().split()
        assert {"-u", "healthsweep-sweeper", "healthsweep-api", "--output=json", "--all"} <= set(asked)

    def test_the_journal_is_asked_for_no_more_than_is_wanted(self, tmp_path: Path) -> None:
        path = journal_stand_in(tmp_path, f"cat {IN_THE_JOURNAL}")
        says("--since", "2026-01-01T00:00Z", path=path)
        assert "--since=@1767225600" in (tmp_path / "asked").read_text()

    def test_the_real_journalctl_understands_what_it_is_asked(self, tmp_path: Path) -> None:
        path = journal_stand_in(tmp_path, f'exec {_real_journalctl()} --directory={tmp_path} "$@"')
        assert "the journal shows you no line" in refused("--since", "2h", path=path)

    def test_without_a_journal_it_says_what_to_do(self) -> None:
        assert "there is no journalctl here: name the log's files" in refused(path="")

    def test_a_journalctl_that_fails_is_no_quiet_log(self, tmp_path: Path) -> None:
        path = journal_stand_in(tmp_path, f"head -5 {IN_THE_JOURNAL}; exit 3")
        assert refused(path=path) == "healthsweep: journalctl ended with status 3"


def _real_journalctl() -> str:
    program = Path("/usr/bin/journalctl")
    if not program.exists():
        pytest.skip("there is no journalctl on this machine")
    return str(program)


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (("/no/such/file",), "healthsweep: /no/such/file: No such file or directory"),
            (("/",), "healthsweep: /: Is a directory"),
            ((FROZEN, "--since", "soon"), "'soon' is neither a duration"),
            ((FROZEN, "--workspace", "billing"), "'billing' is no workspace id"),
            ((FROZEN, "--workspace", "abcdef"), "the workspace abcdef is not in any line"),
            ((FROZEN, "--request", "nobody-asked"), "no line has the request id 'nobody-asked'"),
            ((FROZEN, "--html", "/no/such/page.html"), "/no/such/page.html: No such file or directory"),
            ((str(CHECKOUT / "README.md"),), "nothing of healthsweep's log was read, and "),
        ],
    )
    def test_one_sentence_says_what_is_wrong(self, arguments: tuple[str, ...], sentence: str) -> None:
        assert sentence in refused(*arguments)

    def test_what_does_not_go_together(self) -> None:
        assert "--follow goes with neither" in refused(FROZEN, "--follow", "--html", "x", status=2)

    def test_a_beginning_that_several_ids_have(self) -> None:
        lines = [said("workspace.marked_online", 0, workspace_id=i, reason="running") for i in (ONE, OTHER)]
        sentence = refused("--workspace", ONE[:8], stdin="\n".join(lines).encode())
        assert f"may be any of {ONE}, {OTHER}" in sentence

    def test_bad_settings_are_no_reason_not_to_look(self) -> None:
        assert VERDICT in says(FROZEN, environment={"SWEEP_INTERVAL": "soon"})

    def test_a_reader_that_leaves_early_is_no_error(self) -> None:
        command = f"{' '.join(ENTRY)} --json {FROZEN} | true; exit ${{PIPESTATUS[0]}}"
        ended = subprocess.run(["bash", "-c", command], cwd=CHECKOUT, capture_output=True, check=False)
        assert (ended.returncode, ended.stderr) == (0, b"")


class TestQuestions:
    def test_one_workspace_by_its_id_its_container_or_their_beginning(self) -> None:
        file = str(kept.DATA / "container_killed.jsonl")
        id_ = str(id_of("billing-bot"))
        texts = {says(file, "--workspace", given) for given in (id_, id_[:6].upper(), f"ws-{id_[:12]}")}
        assert len(texts) == 1
        (text,) = texts
        assert f"about workspace {id_}" in text
        assert "workspace.marked_offline previous=online reason=exited exit_code=137" in text

    def test_the_story_of_one_request(self) -> None:
        lines = [json.loads(line) for line in of_situation("table_locked")]
        request = next(line["request_id"] for line in lines if line["event"] == "runtime.lookup_failed")
        found = document(str(kept.DATA / "table_locked.jsonl"), "--request", request)
        assert [line["event"] for line in found["lines"]] == [
            "runtime.lookup_failed",
            "container.not_running",
            "request.completed",
        ]
        assert [incident["kind"] for incident in found["incidents"]] == ["runtime_not_looked_up"]

    def test_what_was_before_is_left_out_and_counted(self) -> None:
        lines = [json.loads(line) for line in of_situation("engine_frozen")]
        middle = lines[20]["ts"]
        found = document(FROZEN, "--since", middle)
        earlier = sum(line["ts"] < middle for line in lines)
        assert (found["read"]["lines"], found["read"]["earlier"]) == (len(lines) - earlier, earlier)
        assert "There is no line to judge by." in says(FROZEN, "--since", "1s")

    def test_it_is_a_verb_among_the_others(self) -> None:
        def command(*arguments: str) -> str:
            command = [sys.executable, "-m", "deploy.command", *arguments]
            return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout

        assert re.search(r"^ +triage +what happened", command("--help"), re.MULTILINE)
        assert command("triage", FROZEN) == says(FROZEN)


def test_the_json_s_keys_are_those_that_are_promised() -> None:
    page = (CHECKOUT / "docs/handbook/triage.md").read_text()
    found = document(FROZEN)
    for part in (found, found["read"], *found["incidents"], *found["errors"], *found["slowest_sweeps"]):
        for key in part:
            assert f"`{key}`" in page, f"docs/handbook/triage.md does not name {key}"


def test_it_begins_at_once_because_it_imports_nothing_of_the_others() -> None:
    script = (
        "import sys; sys.argv = ['healthsweep', 'triage', sys.argv[1]]\n"
        "from deploy.command.entry import main; status = main()\n"
        "print([name for name in ('asyncpg', 'aiodocker', 'aiohttp', 'asyncio') if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, FROZEN], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[-1] == "[]"


def test_on_a_host_it_needs_neither_root_nor_settings() -> None:
    script = (CHECKOUT / "deploy/host/healthsweep").read_text()
    here = script.replace("/opt/healthsweep/current/.venv/bin/python", sys.executable)
    command = ["sh", "-euc", here, "healthsweep", "triage", FROZEN]
    ended = subprocess.run(
        command, cwd="/", capture_output=True, text=True, check=False, env={"LANG": "C.UTF-8"}
    )
    assert (ended.stdout, ended.stderr) == (says(FROZEN), "")


def test_the_exit_status_is_0_also_where_much_is_wrong() -> None:
    assert run(FROZEN).returncode == 0
