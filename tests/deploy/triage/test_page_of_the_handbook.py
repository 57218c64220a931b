"""docs/handbook/triage.md shows what triage prints, and each of its commands is run here."""

import gzip
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from deploy.children import tied
from shared.moments import rfc3339
from tests.deploy.triage.golden import PAGE, page
from tests.deploy.triage.operator import ENTRY, journal_stand_in
from tests.deploy.triage.reading import of_situation
from tests.handbook.pages import blocks
from tests.situations.scene import id_of
from tests.support.processes import CHECKOUT


def of_now(lines: list[str]) -> list[str]:
    """These lines, as if they had just been written."""
    written = [datetime.fromisoformat(json.loads(line)["ts"]) for line in lines]
    shift = datetime.now(UTC) - max(written)
    moments = zip(lines, written, strict=True)
    return [line.replace(json.loads(line)["ts"], rfc3339(at + shift)) for line, at in moments]


def test_the_page_shows_what_it_prints() -> None:
    assert page() == PAGE.read_text()


def test_each_of_its_commands_does_what_it_says(tmp_path: Path) -> None:
    lines = of_now(of_situation("container_killed"))
    journal, plain = tmp_path / "journal", tmp_path / "plain"
    journal.write_text("".join(json.dumps({"MESSAGE": line}) + "\n" for line in lines))
    plain.write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "run.log").write_text("\n".join(lines[10:]))
    (tmp_path / "run.log.1.gz").write_bytes(gzip.compress("\n".join(lines[:10]).encode()))
    path = journal_stand_in(tmp_path, f'case "$*" in *"-o cat"*) cat {plain};; *) cat {journal};; esac')
    command = tmp_path / "healthsweep"
    command.write_text(f'#!/bin/sh\nshift\nPYTHONPATH={CHECKOUT} exec {" ".join(ENTRY)} "$@"\n')
    command.chmod(0o755)
    request = next(json.loads(line)["request_id"] for line in lines if "container.not_running" in line)
    environment = {"PATH": path, "ID": str(id_of("billing-bot")), "REQUEST_ID": request, "LANG": "C.UTF-8"}
    script = "".join(f"{block}\necho '--- end of block'\n" for block in blocks("triage.md"))
    ended = subprocess.run(
        tied(["bash", "-euo", "pipefail", "-c", script]),
        cwd=tmp_path,
        env={**environment, "HOME": os.environ.get("HOME", "/"), "VIRTUAL_ENV": sys.prefix},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    printed = ended.stdout.split("--- end of block")
    last_hour, workspace, one, files, piped, html, followed, verdict, _ = printed
    for text in (last_hour, workspace, files, piped, html):
        assert f"workspace {id_of('billing-bot')} went offline: exited, exit 137" in text
    assert "1 incident, the workspace's." in verdict
    assert "container.not_running state=exited exit_code=137 answer=503" in one
    assert followed.count("  open  ") == followed.count("  closed  ")  # all is over
    assert "<svg" in (tmp_path / "report.html").read_text()
