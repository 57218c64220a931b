"""`healthsweep triage` from its arguments to its exit status. It asks neither the database nor Docker."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from deploy.command.triage import sources, times
from deploy.command.triage.follow import follow
from deploy.command.triage.growing import growing
from deploy.command.triage.incident import many
from deploy.command.triage.intake import Intake, workspace_prefix
from deploy.command.triage.page import page
from deploy.command.triage.report import Report, as_json
from deploy.command.triage.text import print_report
from shared.errors import HealthsweepError

_FOLLOW_FROM = timedelta(hours=1)
_PIPE_WIDTH = 400  # no line is folded where a program reads it


def parser() -> argparse.ArgumentParser:
    """What it takes."""
    verb = argparse.ArgumentParser(
        prog="healthsweep triage",
        description="What happened, to whom, and whose fault it was: read from the log alone.",
        epilog="Without FILE it reads what is piped into it, else the journal of the two services. Lines may "
        "be as they were written, or as journalctl prints them, in any order; gzip too. Times are in UTC.",
    )
    verb.add_argument("files", nargs="*", metavar="FILE", help="a log; - is standard input")
    verb.add_argument("--workspace", metavar="ID", help="of this workspace only; the id's beginning will do")
    verb.add_argument("--request", metavar="ID", help="the story of one request: all its lines")
    verb.add_argument(
        "--since", metavar="WHEN", help="a duration before now, 2h, or a time, 10:02 or 2026-05-04T10:02"
    )
    verb.add_argument("--json", action="store_true", help="one JSON document instead of the report")
    verb.add_argument("--html", metavar="FILE", help="also write it as one page with plots")
    verb.add_argument(
        "--follow", action="store_true", help="print incidents as they open and close, until Ctrl-C"
    )
    return verb


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, 1 with a sentence on standard error, 2 for bad usage."""
    verb = parser()
    options = verb.parse_args(arguments)
    if options.follow and (options.html or options.request):
        verb.error("--follow goes with neither --html nor --request: they are about what is over")
    try:
        _follow(options) if options.follow else _report(options)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes it once more
    except OSError as exc:
        named = f"{exc.filename}: " if exc.filename else ""
        return _refuse(f"{named}{exc.strerror or exc}")
    except HealthsweepError as exc:
        return _refuse(str(exc))
    except KeyboardInterrupt:
        return 130
    return 0


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"healthsweep: {sentence}\n")
    return 1


def _intake(options: argparse.Namespace) -> Intake:
    now = datetime.now(UTC)
    since = times.since(options.since, now) if options.since else None
    if since is None and options.follow:
        since = (now - _FOLLOW_FROM).timestamp()
    workspace = workspace_prefix(options.workspace) if options.workspace else None
    return Intake(since=since, workspace=workspace, request=options.request)


def _report(options: argparse.Namespace) -> None:
    intake = _intake(options)
    for raw in sources.lines(options.files, intake.since):
        intake.take(raw)
    if not intake.lines:
        raise sources.Unreadable(_nothing(intake, options))
    report = Report.of(intake)
    if options.html:
        Path(options.html).write_text(page(report), encoding="utf-8")
    if options.json:
        sys.stdout.write(json.dumps(as_json(report)) + "\n")
    else:
        on_terminal = sys.stdout.isatty()
        print_report(report, Console() if on_terminal else Console(width=_PIPE_WIDTH, color_system=None))


def _nothing(intake: Intake, options: argparse.Namespace) -> str:
    if options.files or sources.is_piped():
        return (
            f"nothing of healthsweep's log was read, and {many(intake.facts.skipped.total(), 'other line')}"
        )
    return (
        f"the journal shows you no line of {' or '.join(sources.UNITS)}: "
        "are you root, or in the group systemd-journal?"
    )


def _follow(options: argparse.Namespace) -> None:
    intake = _intake(options)
    with growing(options.files, intake.since) as lines:
        for text in follow(intake, lines, as_json=options.json):
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
