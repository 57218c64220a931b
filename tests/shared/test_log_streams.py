"""The same lines in the journal, in a pipe and for people; what they say: test_logs."""

import io
import json
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import TextIO

import pytest
import structlog

from shared import logs

log = structlog.get_logger()
pytestmark = pytest.mark.usefixtures("own_logging")

Ends = tuple[TextIO, Callable[[], str]]
"""Where a service writes to, and what arrived at the other end so far."""


@pytest.fixture(params=["socket", "pipe"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    with ExitStack() as stack:
        if request.param == "socket":  # as systemd connects a service to its journal
            ours, theirs = socket.socketpair()
            reading, writing = ours.detach(), theirs.detach()
        else:
            reading, writing = os.pipe()
        stack.callback(os.close, reading)
        stream = stack.enter_context(closing(os.fdopen(writing, "w", encoding="utf-8")))

        def arrived() -> str:
            stream.flush()
            return os.read(reading, 1 << 16).decode()

        yield stream, arrived


def name_as_journal(stream: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    status = os.fstat(stream.fileno())
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")


@pytest.mark.parametrize(
    ("level", "prefix"),
    [("debug", "<7>"), ("info", "<6>"), ("warning", "<4>"), ("error", "<3>"), ("critical", "<2>")],
)
def test_each_line_for_the_journal_begins_with_its_priority(
    level: str, prefix: str, ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, arrived = ends
    name_as_journal(stream, monkeypatch)
    logs.configure("sweeper", level="debug", form="json", stream=stream)
    getattr(log, level)("some.event")
    line = arrived()
    assert line.startswith(prefix + "{")
    assert json.loads(line.removeprefix(prefix))["level"] == level


def test_a_line_of_a_library_has_its_priority_too(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, arrived = ends
    name_as_journal(stream, monkeypatch)
    logs.configure("sweeper", level="info", form="json", stream=stream)
    logging.getLogger("aiohttp.access").log(25, "a level of its own is no known one")
    logging.getLogger("asyncio").error("Unclosed connection")
    assert arrived().startswith('<3>{"ts": ')


@pytest.mark.parametrize(
    "journal",
    [
        pytest.param(None, id="no journal"),
        pytest.param("", id="empty"),
        pytest.param("1:1", id="the journal is another stream, as of a service that writes to a file"),
        pytest.param("nonsense", id="nonsense"),
    ],
)
def test_without_the_journal_a_line_is_json_and_nothing_else(
    journal: str | None, ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, arrived = ends
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    if journal is not None:
        monkeypatch.setenv("JOURNAL_STREAM", journal)
    logs.configure("sweeper", level="info", form="json", stream=stream)
    log.warning("some.event")
    assert json.loads(arrived())["event"] == "some.event"


def test_a_stream_without_a_file_is_not_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    stream = io.StringIO()
    logs.configure("sweeper", level="info", form="json", stream=stream)
    log.info("some.event")
    assert stream.getvalue().startswith("{")


def test_for_people_there_are_colours_and_no_json(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, arrived = ends
    name_as_journal(stream, monkeypatch)  # even then: whoever asks for the console gets it
    logs.configure("sweeper", level="info", form="console", stream=stream)
    log.warning("workspace.skipped", problem="of no known runtime")
    logging.getLogger("asyncio").error("Unclosed connection")
    skipped, library = arrived().splitlines()
    assert "workspace.skipped" in skipped
    assert "\x1b[" in skipped
    assert "problem" in skipped
    assert "of no known runtime" in skipped
    assert not skipped.startswith(("{", "<"))
    assert "library.message" in library
    assert "Unclosed connection" in library


def test_bytes_that_are_no_text_do_not_end_the_process(ends: Ends) -> None:
    stream, arrived = ends
    logs.configure("sweeper", level="info", form="json", stream=stream)
    log.info("process.started", home=os.fsdecode(b"/srv/\xff"))
    assert json.loads(arrived())["home"] == "/srv/\udcff"


def test_json_is_utf_8_whatever_the_locale_says() -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii")
    logs.configure("sweeper", level="info", form="json", stream=stream)
    log.info("some.event", detail="für … 日本")
    stream.flush()
    assert json.loads(written.getvalue())["detail"] == "für … 日本"
