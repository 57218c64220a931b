"""What a line of input says, in each form in which it comes; and what it tells nothing."""

import json

import pytest

from deploy.command.triage.lines import Line, Text, parse
from tests.deploy.triage.reading import BEGAN, report_of, said, text_of

LINE = said("sweep.held", 1.5, level="warning", of=6)


def entry(message: object, **keys: object) -> str:
    return json.dumps({"__REALTIME_TIMESTAMP": "1777888801500000", "MESSAGE": message, **keys})


@pytest.mark.parametrize(
    "raw",
    [
        LINE,
        f"{LINE}\r\n",
        f"<4>{LINE}",
        f"May 04 10:00:01 host python[71]: {LINE}",
        entry(LINE),
        entry(f"<4>{LINE}"),
        entry(list(LINE.encode())),
    ],
    ids=["json", "crlf", "prefix", "short", "journal", "journal, prefix", "journal, bytes"],
)
def test_our_line_is_understood_in_every_form(raw: str) -> None:
    line = parse(raw.encode())
    assert isinstance(line, Line)
    assert (line.event, line.at, line.keys["of"]) == ("sweep.held", BEGAN.timestamp() + 1.5, 6)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (LINE[:60], "cut"),
        ('{"ts": ', "cut"),
        ("{" * 100_000, "cut"),
        ('{"a": nope}', "broken"),
        ('{"a": ' + "9" * 5000 + "}", "broken"),
        ('{"a": "\\x"}', "broken"),
        ("{}", "foreign"),
        ('{"level": "info", "msg": "x"}', "foreign"),
        (LINE.replace("sweeper", "dockerd"), "foreign"),
        (LINE.replace("sweep.held", "Sweep held!"), "foreign"),
        (entry(7), "foreign"),
        (entry([1, 300]), "foreign"),
        (entry(["a", "b"]), "foreign"),
        (entry(entry(LINE)), "foreign"),
        (entry(None), "too_big"),
        (LINE.replace("2026-05-04T", "tomorrow"), "without_time"),
        (LINE.replace('Z"', '"'), "without_time"),
        (json.dumps({"process": "api", "event": "sweep.held"}), "without_time"),
    ],
)
def test_what_tells_nothing_is_told_apart(raw: str, kind: str) -> None:
    assert parse(raw.encode()) == kind
    report = report_of([raw, LINE])
    assert report.facts.skipped == {kind: 1}
    assert report.facts.lines == 1
    assert "1 line skipped: " in text_of(report)


def test_bytes_that_are_no_text_are_broken() -> None:
    assert parse(LINE.encode().replace(b"held", b"he\xff")) == "broken"


def test_text_stays_text() -> None:
    assert parse(b"healthsweep: api ended with status 1: giving up\n") == Text(
        None, "healthsweep: api ended with status 1: giving up"
    )
    assert parse(entry("Started healthsweep-api.service").encode()) == Text(
        1777888801.5, "Started healthsweep-api.service"
    )
    assert parse(b"\n") == Text(None, "")


@pytest.mark.parametrize("value", ["nan", "Infinity", '"many"', "null", "[1]", '{"a": 1}', "true", "-1e999"])
@pytest.mark.parametrize("key", ["of", "duration_ms", "workspace_id", "reason", "level", "exit_code", "code"])
def test_a_value_of_the_wrong_kind_breaks_nothing(key: str, value: str) -> None:
    lines = [
        said("sweep.held", 1, of=5, reason="x"),
        said("sweep.completed", 2, duration_ms=3.0, checked=1),
        said("workspace.marked_offline", 3, workspace_id="x", reason="exited", exit_code=1),
        said("request.completed", 4, process="api", status=503, code="container_not_running"),
    ]
    for line in lines:
        keys = json.loads(line)
        hostile = json.dumps({**keys, key: "@"}).replace('"@"', value.replace("nan", "NaN"))
        text_of(report_of([hostile]))
