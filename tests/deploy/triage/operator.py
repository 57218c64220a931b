"""Somebody at a terminal who runs `healthsweep triage`, on a host that has nothing else of ours."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.children import tied
from tests.situations import kept
from tests.support.processes import CHECKOUT

ENTRY = (sys.executable, "-m", "deploy.command.entry", "triage")
"""What the program `healthsweep triage` of an installed version runs."""

FROZEN = str(kept.DATA / "engine_frozen.jsonl")
IN_THE_JOURNAL = kept.DATA / "engine_frozen.journal.jsonl"


def run(
    *arguments: str,
    stdin: bytes | int = subprocess.DEVNULL,
    path: str = os.environ["PATH"],
    environment: Mapping[str, str] = {},
) -> subprocess.CompletedProcess[str]:
    """What becomes of it; there is no traceback."""
    given: dict[str, Any] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
    ended = subprocess.run(
        tied([*ENTRY, *arguments]) if path else [*ENTRY, *arguments],
        cwd=CHECKOUT,
        env={"PATH": path, "LANG": "C.UTF-8", **environment},
        capture_output=True,
        timeout=60,
        check=False,
        **given,
    )
    stdout, stderr = ended.stdout.decode(), ended.stderr.decode()
    assert "Traceback" not in stderr, stderr
    return subprocess.CompletedProcess(ended.args, ended.returncode, stdout, stderr)


def says(*arguments: str, **given: Any) -> str:
    """What it prints; it goes well."""
    ended = run(*arguments, **given)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def document(*arguments: str, **given: Any) -> dict[str, Any]:
    """The JSON that it prints."""
    found: dict[str, Any] = json.loads(says(*arguments, "--json", **given))
    return found


def refused(*arguments: str, status: int = 1, **given: Any) -> str:
    """The last line on standard error, with nothing on standard output."""
    ended = run(*arguments, **given)
    assert (ended.returncode, ended.stdout) == (status, "")
    return ended.stderr.splitlines()[-1]


def journal_stand_in(directory: Path, script: str) -> str:
    """A PATH whose journalctl is this shell script: what it was asked for lands in `asked`."""
    program = directory / "journalctl"
    program.write_text(f'#!/bin/sh\necho "$@" >"{directory}/asked"\n{script}\n')
    program.chmod(0o755)
    return f"{directory}:{os.environ['PATH']}"


@contextmanager
def following(
    *arguments: str, path: str = os.environ["PATH"], stdin: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[str]]:
    """It runs with --follow, until the end of the block; its lines can be read."""
    command = tied([*ENTRY, "--follow", *arguments])
    with subprocess.Popen(
        command, cwd=CHECKOUT, env={"PATH": path}, stdin=stdin, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()
