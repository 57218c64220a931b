"""One line is one JSON object, whoever wrote it; nothing secret and nothing endless is in it."""

import asyncio
import io
import json
import logging
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.contextvars import bound_contextvars

from shared import logs
from tests.support.processes import CHECKOUT

log = structlog.get_logger()
pytestmark = pytest.mark.usefixtures("own_logging")

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(own_logging: None) -> Lines:
    """The lines so far, decoded, of a sweeper that logs from level info on."""
    stream = io.StringIO()
    logs.configure("sweeper", level="info", form="json", stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]


def test_the_keys_that_are_always_there_come_first_and_in_their_order(lines: Lines) -> None:
    with bound_contextvars(sweep_id="5a1f"):
        log.info("workspace.marked_offline", reason="exited", exit_code=137)
    (line,) = lines()
    assert list(line)[:4] == ["ts", "level", "process", "event"]
    assert {key: line[key] for key in list(line)[1:]} == {
        "level": "info",
        "process": "sweeper",
        "event": "workspace.marked_offline",
        "sweep_id": "5a1f",
        "reason": "exited",
        "exit_code": 137,
    }


def test_the_time_is_rfc_3339_in_utc_with_milliseconds(lines: Lines) -> None:
    log.info("sweep.completed")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", lines()[0]["ts"])


@pytest.mark.parametrize("process", ["sweeper", "api", "command"])
def test_the_process_is_named(process: logs.Process) -> None:
    stream = io.StringIO()
    logs.configure(process, level="info", form="json", stream=stream)
    log.info("process.started")
    assert json.loads(stream.getvalue())["process"] == process


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warning", "error", "critical"]),
        ("info", ["info", "warning", "error", "critical"]),
        ("warning", ["warning", "error", "critical"]),
        ("error", ["error", "critical"]),
    ],
)
def test_the_level_is_the_least_that_is_shown(level: str, shown: list[str]) -> None:
    stream = io.StringIO()
    logs.configure("sweeper", level=level, form="json", stream=stream)
    for name in ("debug", "info", "warning", "error", "critical"):
        getattr(log, name)("some.event")
    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == shown


LONG = "x" * 10_000


@pytest.mark.parametrize(
    ("value", "where"),
    [
        pytest.param(LONG, [], id="a text"),
        pytest.param({"inner": LONG}, ["inner"], id="in an object"),
        pytest.param([LONG], [0], id="in a list"),
        pytest.param((LONG,), [0], id="in a tuple"),
        pytest.param([{"inner": [LONG]}], [0, "inner", 0], id="deep inside"),
        pytest.param(ValueError(LONG), [], id="an exception"),
        pytest.param(LONG.encode(), [], id="bytes"),
        pytest.param(Path(LONG), [], id="a path"),
    ],
)
def test_at_most_256_characters_of_anything(value: object, where: list[str | int], lines: Lines) -> None:
    log.info("some.event", value=value)
    said = lines()[0]["value"]
    for step in where:
        said = said[step]
    assert len(said) == 256
    assert said.endswith("…")


def test_256_characters_are_not_cut(lines: Lines) -> None:
    log.info("some.event", value="x" * 256)
    assert lines()[0]["value"] == "x" * 256


def test_plain_values_stay_what_they_are(lines: Lines) -> None:
    values = {"none": None, "yes": True, "number": 3, "fraction": 0.25, "list": [1, "two"], "text": "für"}
    log.info("some.event", **values)
    assert {key: lines()[0][key] for key in values} == values


def test_no_text_breaks_the_line(lines: Lines) -> None:
    text = 'one\ntwo\r\n"three" \\ \u2028 \0'
    log.info("some.event", value=text)
    assert [line["value"] for line in lines()] == [text]


def test_what_a_library_says_is_a_value_and_no_event(lines: Lines) -> None:
    logging.getLogger("aiohttp.server").error("Error handling %s", "a request")
    (line,) = lines()
    assert list(line) == ["ts", "level", "process", "event", "logger", "message"]
    assert line["event"] == "library.message"
    assert (line["level"], line["logger"]) == ("error", "aiohttp.server")
    assert line["message"] == "Error handling a request"


def test_what_a_library_says_is_cut_too(lines: Lines) -> None:
    logging.getLogger("asyncpg").warning("%s", LONG)
    assert len(lines()[0]["message"]) == 256


def test_libraries_are_heard_from_warnings_on(lines: Lines) -> None:
    logging.getLogger("asyncio").info("poll took 3 ms")
    logging.getLogger("asyncio").warning("Executing took 3 s")
    assert [line["message"] for line in lines()] == ["Executing took 3 s"]


def test_a_warning_of_the_interpreter_is_a_line_too(lines: Lines) -> None:
    warnings.warn("this is old", DeprecationWarning, stacklevel=1)
    (line,) = lines()
    assert (line["event"], line["level"], line["logger"]) == ("library.message", "warning", "py.warnings")
    assert "DeprecationWarning: this is old" in line["message"]


def fail_with_a_secret() -> None:
    token = "tok-5ecret"  # noqa: F841 - what a frame holds
    raise ValueError("no such thing")


def test_an_exception_has_its_frames_and_nothing_of_what_they_hold(lines: Lines) -> None:
    try:
        fail_with_a_secret()
    except ValueError:
        log.exception("sweep.failed")
    (line,) = lines()
    (raised,) = line["exception"]
    assert (line["level"], line["event"]) == ("error", "sweep.failed")
    assert (raised["exc_type"], raised["exc_value"]) == ("ValueError", "no such thing")
    assert [frame["name"] for frame in raised["frames"]][-1] == "fail_with_a_secret"
    assert "tok-5ecret" not in json.dumps(line)


def test_neither_has_the_exception_of_a_library(lines: Lines) -> None:
    try:
        fail_with_a_secret()
    except ValueError:
        logging.getLogger("aiohttp.server").exception("Error handling request")
    (line,) = lines()
    assert line["exception"][0]["exc_value"] == "no such thing"
    assert "tok-5ecret" not in json.dumps(line)


async def test_a_task_that_nobody_awaited_is_a_line_too(lines: Lines) -> None:
    async def fail() -> None:
        fail_with_a_secret()

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    del task
    (line,) = [line for line in lines() if "never retrieved" in line["message"]]
    assert (line["event"], line["logger"]) == ("library.message", "asyncio")
    assert "tok-5ecret" not in json.dumps(line)


def test_an_endless_exception_is_cut(lines: Lines) -> None:
    log.error("request.failed", exc_info=ValueError(LONG))
    assert len(lines()[0]["exception"][0]["exc_value"]) == 256


CRASH = """
import sys
from shared import logs

logs.configure("sweeper", level="info", form="json", stream=sys.stdout)
token = "tok-5ecret"
raise ValueError("no such thing")
"""


def test_a_crash_is_one_critical_line() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CRASH], capture_output=True, text=True, check=False, cwd=CHECKOUT
    )
    line = json.loads(ended.stdout)
    assert (line["level"], line["event"], ended.returncode) == ("critical", "process.crashed", 1)
    assert line["exception"][0]["exc_value"] == "no such thing"
    assert "tok-5ecret" not in ended.stdout + ended.stderr
