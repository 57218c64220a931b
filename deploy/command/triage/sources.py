"""Where lines come from: files, standard input, the journal."""

import gzip
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from deploy.layout import SERVICES
from shared.errors import HealthsweepError

LONGEST = 1 << 20
"""Bytes; what is longer without a line's end is no line of a log."""

UNITS = tuple(service.removesuffix(".service") for service in SERVICES)
_FIELDS = "MESSAGE,UNIT,__REALTIME_TIMESTAMP"


class Unreadable(HealthsweepError):
    """There is nothing to read from; the text says what there could be."""


def lines(files: Sequence[str], since: float | None) -> Iterator[bytes]:
    """Every line of `files`, where `-` is standard input; without any, of what is piped in, else the journal.

    Raises Unreadable, OSError.
    """
    if not files and not is_piped():
        yield from _journal(since)
    for name in files or ["-"] if files or is_piped() else []:
        if name == "-":
            yield from _of(sys.stdin.buffer)
            continue
        with Path(name).open("rb") as file:
            packed = file.peek(2)[:2] == b"\x1f\x8b"
            yield from _of(cast("BinaryIO", gzip.GzipFile(fileobj=file)) if packed else file)


def is_piped() -> bool:
    """Whether something was meant to be read from standard input: a pipe, a socket or a file is there."""
    if sys.stdin is None or sys.stdin.closed:
        return False
    mode = os.fstat(sys.stdin.fileno()).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def journalctl(since: float | None, *arguments: str) -> list[str]:
    """The command that prints our units' journal as JSON. Raises Unreadable where there is no journal."""
    program = shutil.which("journalctl")
    if program is None:
        raise Unreadable(
            "there is no journalctl here: name the log's files (healthsweep triage run.log) or pipe it in"
        )
    units = [argument for unit in UNITS for argument in ("-u", unit)]
    until = [f"--since=@{since:.0f}"] if since is not None else []
    form = ["--output=json", f"--output-fields={_FIELDS}", "--all", "--quiet", "--no-pager"]
    return [program, *form, *units, *until, *arguments]


def _journal(since: float | None) -> Iterator[bytes]:
    with subprocess.Popen(journalctl(since), stdout=subprocess.PIPE) as process:
        if process.stdout is not None:
            yield from _of(cast("BinaryIO", process.stdout))
    if process.returncode:
        raise Unreadable(f"journalctl ended with status {process.returncode}")


def _of(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.readline(LONGEST):
        yield piece
        while len(piece) == LONGEST and not piece.endswith(b"\n"):  # the rest of no line of ours
            piece = stream.readline(LONGEST)
