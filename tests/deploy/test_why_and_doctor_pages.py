"""The handbook's pages about `why` and `doctor` say what the code says."""

import re
from pathlib import Path

import pytest

from deploy.command.doctor.verb import look
from deploy.command.why import answer, remarks
from deploy.handbook import Entry
from tests.support.daemon import FakeDaemon
from tests.support.processes import CHECKOUT

HANDBOOK = CHECKOUT / "docs" / "handbook"
ANSWER = re.compile(r"^```text\n\$ [^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def first_column(page: str, heading: str) -> list[str]:
    """What stands in backquotes at the beginning of each row below that heading."""
    section = (HANDBOOK / page).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def shown(page: str) -> list[str]:
    """The lines of the answer that the page shows."""
    (text,) = ANSWER.findall((HANDBOOK / page).read_text())
    return str(text).splitlines()


async def test_every_check_has_its_row(tmp_path: Path, database_url: str, fake_daemon: FakeDaemon) -> None:
    environment = {"HEALTHSWEEP_HOME": str(tmp_path), "METRICS_PORT": "0", "DATABASE_URL": database_url}
    names = [each.name for each in await look({**environment, "DOCKER_HOST": fake_daemon.host})]
    assert first_column("doctor.md", "The checks") == names
    line = re.compile(r"(ok|warning|failed|skipped) +(\S+(?: \S+)*?)  +\S")
    found = [line.match(text) for text in shown("doctor.md") if text[0] != " "][:-1]
    assert [match[2] for match in found if match] == names


def test_every_remark_has_its_row() -> None:
    source = Path(remarks.__file__).read_text()
    codes = re.findall(r'Remark\(\s*"(\w+)"', source)
    assert sorted(first_column("why.md", "The remarks")) == sorted(codes)


def test_every_line_has_its_row() -> None:
    source = Path(answer.__file__).read_text()
    words = set(re.findall(r'(?:yield |\(\(?)"([a-z ]+)", ', source))
    explained = first_column("why.md", "How to read it")
    assert set(explained) == words
    assert [text.split("  ")[0] for text in shown("why.md")] == explained


@pytest.mark.parametrize("page", ["why.md", "doctor.md"])
def test_links_to_entries_are_entries(page: str) -> None:
    text = (HANDBOOK / page).read_text()
    anchors = re.findall(r"troubleshooting\.md#([\w-]+)", text)
    assert anchors
    assert set(anchors) <= set(Entry)
