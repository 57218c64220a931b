"""Triage on lines that a test has, without a process: what it knows, says and prints."""

import io
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from rich.console import Console

from deploy.command.triage.incident import Incident
from deploy.command.triage.intake import Intake
from deploy.command.triage.report import Report, as_json
from deploy.command.triage.text import print_report
from shared.moments import rfc3339
from tests.situations import kept
from tests.support.processes import CHECKOUT

BEGAN = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
ONE = "0b6f3c1e-9a2b-4c3d-8e4f-000000000001"
OTHER = "0b6f3c1e-9a2b-4c3d-8e4f-000000000002"


def said(event: str, at: float, *, process: str = "sweeper", level: str = "info", **keys: Any) -> str:
    """A line, `at` seconds after BEGAN."""
    ts = rfc3339(BEGAN + timedelta(seconds=at))
    return json.dumps({"ts": ts, "level": level, "process": process, "event": event, **keys})


def report_of(lines: Iterable[str | bytes], **wanted: Any) -> Report:
    """The report on these lines."""
    intake = Intake(**wanted)
    for line in lines:
        intake.take(line if isinstance(line, bytes) else line.encode())
    return Report.of(intake)


def incidents_of(lines: Iterable[str | bytes]) -> list[Incident]:
    """What happened."""
    return report_of(lines).incidents


def text_of(report: Report, *, width: int = 80, terminal: bool = False) -> str:
    """What is printed on a console that is so wide; the checkout's path is left out."""
    output = io.StringIO()
    colours: Literal["truecolor"] | None = "truecolor" if terminal else None
    print_report(report, Console(file=output, width=width, force_terminal=terminal, color_system=colours))
    return portable(output.getvalue())


def json_of(report: Report) -> str:
    """The document, as a text to compare; the checkout's path is left out. A row of numbers is one line."""
    text = json.dumps(as_json(report), indent=1) + "\n"
    return portable(re.sub(r"\[\s+[\d.,\s]+\]", lambda numbers: " ".join(numbers[0].split()), text))


def of_situation(name: str) -> list[str]:
    """The lines that are kept of a real run."""
    return kept.read(name)


def portable(text: str) -> str:
    """As it would be in a checkout at the root."""
    return text.replace(f"{CHECKOUT}/", "")
