"""The handbook holds together: entries, links, log lines, and each command run by a test."""

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest

from deploy.handbook import Entry, where
from tests.handbook.pages import HANDBOOK, anchors, blocks, fences, links, pages
from tests.situations import kept
from tests.situations.play import SITUATIONS
from tests.support.processes import CHECKOUT

TROUBLESHOOTING = HANDBOOK / "troubleshooting.md"
INTRODUCTION = {"troubleshooting"}


def test_every_entry_is_a_heading_and_every_heading_an_entry() -> None:
    assert sorted(set(anchors(TROUBLESHOOTING)) - INTRODUCTION) == sorted(Entry)


def test_where_names_the_page() -> None:
    path, _, anchor = where(Entry.ENGINE_AWAY).partition("#")
    assert (Path(path), anchor) == (TROUBLESHOOTING, Entry.ENGINE_AWAY)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} points to {link}"
        assert not anchor or anchor in anchors(target), f"{page.name} points to {link}"


def test_the_index_has_every_page_troubleshooting_first() -> None:
    index = [link for link in links(HANDBOOK / "README.md") if "/" not in link]
    assert index[0] == "troubleshooting.md"
    assert set(index) == {page.name for page in pages()} - {"README.md"}


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_log_line_that_is_shown_was_printed(page: Path) -> None:
    """Parts are left out where … stands."""
    contents = [fence.content for fence in fences(page) if fence.language == "json"]
    for line in (line for content in contents for line in content.splitlines() if line.startswith('{"ts": ')):
        pattern = re.compile(".*".join(map(re.escape, line.split("…"))))
        assert any(pattern.fullmatch(other) for other in _printed()), f"nobody printed {line}"


@cache
def _printed() -> list[str]:
    """What is kept of all situations."""
    return [line for name in SITUATIONS for line in kept.read(name)]


MONITORING = "tests/deploy/test_monitoring.py"
LISTED = {
    # promtool takes the configuration; a Prometheus to reload is not there.
    "promtool check config": f"{MONITORING}::test_prometheus_takes_the_handbooks_configuration",
    ".venv/bin/python -m deploy.monitoring": f"{MONITORING}::test_it_is_what_would_be_made_anew",
}
"""Blocks that are run in another form than they stand there, by their beginning, and the test of each."""


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_command_is_run_by_a_test(page: Path) -> None:
    """A test that runs them calls `blocks` with the page's name; it says where it runs them, if not all."""
    run = {on for name, on in _calls() if name == page.name}
    for on in ("any", "host"):
        left = [block for block in blocks(page.name, on=on) if not block.startswith(tuple(LISTED))]
        assert not left or run & {on, None}, f"no test runs these of {page.name}: {left}"


@pytest.mark.parametrize("test", LISTED.values())
def test_the_tests_that_are_listed_exist(test: str) -> None:
    file, _, name = test.partition("::")
    assert f"def {name}(" in (CHECKOUT / file).read_text()


@cache
def _calls() -> list[tuple[object, object]]:
    """Every `blocks("page.md", on=...)` in the tests: the page, and where."""
    calls: list[tuple[object, object]] = []
    for path in (CHECKOUT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "blocks":
                arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
                given = [part.value for part in arguments if isinstance(part, ast.Constant)]
                if given:
                    calls.append((given[0], given[1] if len(given) > 1 else None))
    return calls


def test_the_settings_that_are_shown_as_refused_are_refused() -> None:
    line = next(json.loads(line) for line in kept.read("settings_refused") if "settings.invalid" in line)
    assert line["problem"] in TROUBLESHOOTING.read_text()
