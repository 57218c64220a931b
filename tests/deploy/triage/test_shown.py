"""What is shown of values that came from outside, in a terminal and in a page; and that it fits."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from deploy.command.triage.page import page
from deploy.command.triage.report import as_json
from tests.deploy.triage.operator import FROZEN, says
from tests.deploy.triage.reading import ONE, of_situation, report_of, said, text_of
from tests.situations.play import SITUATIONS

HOSTILE = (
    "\x1b[2J\x9b31m\x07\r\n\u202e\u200f\u2028\ud800<script>alert(1)</script>\" onload='x' [red]x[/] &lt;"
)


def hostile_lines() -> list[str]:
    """HOSTILE wherever a value can stand."""
    return [
        said("database.unreachable", 1, level="warning", detail=HOSTILE),
        said("settings.invalid", 2, process="api", level="critical", variable=HOSTILE, problem=HOSTILE),
        said("engine.unreachable", 3, level="warning", reason=HOSTILE, detail=HOSTILE),
        said("plugin.install_failed", 4, process="api", level="warning", code=HOSTILE, plugin=HOSTILE),
        said("workspace.marked_offline", 5, workspace_id=ONE, reason=HOSTILE, exit_code=3),
        said("container.check_transient", 5, process="api", workspace_id=ONE, reason=HOSTILE, answer=HOSTILE),
        said("request.completed", 6, process="api", status=404, code=HOSTILE, route=HOSTILE, method=HOSTILE),
        said("auth.rejected", 7, process="api", level=HOSTILE, why=HOSTILE, token_prefix=HOSTILE),
        said("process.crashed", 8, level="critical", exception=[{"exc_type": HOSTILE}]),
        said("library.message", 9, level="error", logger=HOSTILE, message=HOSTILE),
        said("sweep.completed", 10, duration_ms=5, sweep_id=HOSTILE),
        said("made.up", 11, level="error", **{HOSTILE: HOSTILE}),
    ]


REPORTS = {
    "all": {},
    "workspace": {"workspace": ONE},
    "request": {"request": HOSTILE},
}


@pytest.mark.parametrize("wanted", REPORTS.values(), ids=REPORTS)
def test_a_terminal_is_told_nothing_by_a_log(wanted: dict[str, str]) -> None:
    lines = [*hostile_lines(), said("request.completed", 12, process="api", request_id=HOSTILE, status=500)]
    text = text_of(report_of(lines, **wanted))
    assert [character for character in text if not character.isprintable() and character != "\n"] == []
    coloured = text_of(report_of(lines, **wanted), terminal=True)
    assert re.sub(r"\x1b\[[\d;]*m|\n", "", coloured).isprintable()
    assert "\x1b[2J" not in coloured


def test_nor_by_the_json() -> None:
    assert json.dumps(as_json(report_of(hostile_lines()))).isascii()


@pytest.mark.parametrize("name", SITUATIONS)
def test_in_a_terminal_of_80_columns_only_paths_are_longer(name: str) -> None:
    for line in text_of(report_of(of_situation(name))).splitlines():
        assert len(line) <= 80 or line.startswith("  → "), line


def test_in_a_pipe_an_incident_is_one_line() -> None:
    assert re.search(r"^  \S+  engine away \(timeout\): .* was marked$", says(FROZEN), re.MULTILINE)
    assert "\x1b" not in says(FROZEN)


def test_where_there_is_only_ascii_it_is_drawn_in_ascii() -> None:
    assert says(FROZEN, environment={"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}).isascii()


class Page(HTMLParser):
    """The elements of a page, and what they refer to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in ("meta", "rect", "line"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag in ("rect", "line"):
            return
        assert self.open.pop() == tag


@pytest.mark.parametrize("lines", [hostile_lines(), of_situation("engine_frozen"), []])
def test_a_page_stands_alone_and_runs_nothing(lines: list[str]) -> None:
    text = page(report_of(lines))
    found = Page(text)
    assert not found.open
    assert not found.elements & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "use"}
    assert not [
        a for a in found.attributes if a[1].startswith("on") or a[1] in ("href", "src", "srcset", "style")
    ]
    assert "default-src 'none'" in text
    assert "url(" not in text
    assert "@import" not in text


def test_a_page_shows_what_was_outside_as_text() -> None:
    text = page(report_of(hostile_lines()))
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "\u202e" not in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    text.encode()


def test_the_page_is_written_where_it_was_asked_for(tmp_path: Path) -> None:
    says(FROZEN, "--html", str(tmp_path / "page.html"))
    text = (tmp_path / "page.html").read_text()
    assert "engine away (timeout): 14 requests got 503" in text
    assert text.count("<svg") == 1
    assert "<rect" in text
