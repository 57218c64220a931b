"""The handbook's pages as tests read them: headings, links, and the commands that must be run.

    blocks("backup.md")                       its ```sh blocks, in their order
    blocks("troubleshooting.md", on="host")   those marked ```sh host, which need an installed host
    blocks("troubleshooting.md", on="any")    the others

Whoever calls this runs what it gives, with `bash -e`: by such a call test_pages.py knows that a page is run.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.support.processes import CHECKOUT

HANDBOOK = CHECKOUT / "docs" / "handbook"

Place = Literal["any", "host"]

_FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block: its language, what stands behind that, and its content."""

    language: str
    mark: str
    content: str


def pages() -> list[Path]:
    """All of the handbook."""
    return sorted(HANDBOOK.glob("*.md"))


def fences(page: Path) -> list[Fence]:
    """The fenced blocks of a page, in their order."""
    text = page.read_text()
    found = _FENCE.findall(text)
    assert text.count("```") == 2 * len(found), f"{page.name} has a fence that is not at a line's beginning"
    return [Fence(language, mark.strip(), content) for language, mark, content in found]


def blocks(page: str, *, on: Place | None = None) -> list[str]:
    """The shell blocks of the handbook's `page`; see the module."""
    found = [fence for fence in fences(HANDBOOK / page) if fence.language == "sh"]
    assert {fence.mark for fence in found} <= {"", "host"}, f"{page} has a block that is marked otherwise"
    return [fence.content for fence in found if on is None or (fence.mark or "any") == on]


def anchors(page: Path) -> list[str]:
    """The anchors of its headings, as GitHub makes them."""
    prose = _FENCE.sub("", page.read_text())
    words = [re.sub(r"[^\w\- ]", "", heading).lower() for heading in _HEADING.findall(prose)]
    return [word.strip().replace(" ", "-") for word in words]


def links(page: Path) -> list[str]:
    """Where it points to, in the order of its text."""
    return _LINK.findall(_FENCE.sub("", page.read_text()))
