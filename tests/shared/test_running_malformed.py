"""Answers that no engine gives and a proxy, a router's login page or another server does: never a *no*."""

import gzip
import json

import pytest

from shared.engine import Engine
from shared.running import NotRunning, Running
from tests.shared.question import FULL, HTML, ID, INSPECT, JSON, answered, inspected, unknown
from tests.support.daemon import FakeDaemon
from tests.support.wire import Answer

TAR = {"Content-Type": "application/x-tar"}
TREE = bytes(10240)  # an empty one
EXITED = json.dumps(inspected({"Status": "exited"})).encode()


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({"Status": ""}, id="Status empty"),
        pytest.param({"Status": 1}, id="Status a number"),
        pytest.param({"Status": True}, id="Status true"),
        pytest.param({"Status": ["exited"]}, id="Status an array"),
        pytest.param({"Status": {"exited": "exited"}}, id="Status an object"),
        pytest.param({"Status": "missing"}, id="a word of ours"),
        pytest.param({"Status": "Exited"}, id="exited in another case"),
        pytest.param({"Status": "Running"}, id="running in another case"),
        pytest.param({"Status": "running "}, id="a word and a blank"),
        pytest.param({"Status": "exited (0)"}, id="a word and more"),
        pytest.param({"Status": "x" * 1_000_000}, id="an endless word"),
        pytest.param({"status": "exited"}, id="the word under another key"),
        pytest.param({"Running": False, "Dead": True, "ExitCode": 1}, id="flags without Status"),
        pytest.param({"Running": True, "Pid": 4711}, id="Running without Status"),
        pytest.param([{"Status": "exited"}], id="State an array"),
        pytest.param([], id="State an empty array"),
        pytest.param(0, id="State a number"),
        pytest.param(True, id="State true"),
        pytest.param("running", id="State the word itself, as in a list"),
    ],
)
async def test_a_state_that_says_nothing(state: object, fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.answer(INSPECT, Answer(200, inspected(state)))
    assert (await unknown(engine)).reason == "malformed"


async def test_an_endless_word_is_not_repeated(fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.answer(INSPECT, Answer(200, inspected({"Status": "x" * 1_000_000})))
    assert len((await unknown(engine)).detail) < 256


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(200, b"{}", JSON), id="empty object"),
        pytest.param(Answer(200, b"[" + EXITED + b"]", JSON), id="array of the answer"),
        pytest.param(Answer(200, b'"exited"', JSON), id="JSON text"),
        pytest.param(Answer(200, b"137", JSON), id="number"),
        pytest.param(Answer(200, b"true", JSON), id="true"),
        pytest.param(Answer(200, b"NaN", JSON), id="NaN"),
        pytest.param(Answer(200, b"", JSON), id="nothing that is called JSON"),
        pytest.param(Answer(200, b" \n", JSON), id="blanks that are called JSON"),
        pytest.param(Answer(200, EXITED + b"{}", JSON), id="more than one document"),
        pytest.param(Answer(200, b"\xff\xfe{}", JSON), id="no UTF-8"),
        pytest.param(Answer(200, b'{"Id": ' + b"9" * 5000 + b"}", JSON), id="endless number"),
        pytest.param(Answer(200, EXITED, HTML), id="JSON that is called HTML"),
        pytest.param(Answer(200, EXITED, {"Content-Type": "text/plain"}), id="JSON that is called text"),
        pytest.param(Answer(200, EXITED, {"Content-Type": "json"}), id="a content type that is none"),
        pytest.param(Answer(200, EXITED, TAR), id="a tar that is none"),
        pytest.param(Answer(200, TREE, TAR), id="a tar"),
        pytest.param(Answer(200, gzip.compress(TREE), TAR), id="a compressed tar"),
        pytest.param(Answer(200, gzip.compress(TREE)[:20], TAR), id="a compressed tar without its end"),
        pytest.param(Answer(204), id="204"),
        pytest.param(Answer(304), id="304"),
    ],
)
async def test_a_body_that_says_nothing(answer: Answer, fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.answer(INSPECT, answer)
    assert (await unknown(engine)).reason == "malformed"


def framed(status: str, body: bytes) -> bytes:
    """A whole answer as bytes."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        pytest.param(framed("200 OK", b"[" * 200_000), "malformed", id="nested without end"),
        pytest.param(framed("200 OK", b'{"State":' * 200_000), "malformed", id="objects without end"),
        pytest.param(framed("404 Not Found", b"[" * 200_000), "refused", id="a 404 nested without end"),
        pytest.param(b"HTTP/1.1 2OO OK\r\n\r\n", "malformed", id="a status line that is none"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "malformed", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n{}", "malformed", id="a negative length"),
        pytest.param(framed("200 OK\r\nX: " + "x" * 100_000, EXITED), "malformed", id="an endless header"),
        pytest.param(framed("200 OK\r\nContent-Encoding: br", EXITED), "malformed", id="a wrong encoding"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", "malformed", id="neither a type nor a body"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + EXITED, "malformed", id="a body without a type"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
            "malformed",
            id="a chunk of no length",
        ),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "malformed", id="another protocol wanted"),
    ],
)
async def test_what_is_hardly_http(
    reply: bytes, reason: str, fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.answer(INSPECT, reply)
    assert (await unknown(engine)).reason == reason


@pytest.mark.parametrize(
    "container_id",
    [None, "", 7, ["4f"], "../info?x=", "4f 4f", "4f\n", "4f/../5e"],
    ids=["null", "empty", "number", "array", "path", "space", "line end", "path behind"],
)
async def test_running_with_an_id_that_nobody_can_act_by(
    container_id: object, fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.answer(INSPECT, Answer(200, {"Id": container_id, "State": {"Status": "running"}}))
    assert (await unknown(engine)).reason == "malformed"


@pytest.mark.parametrize("started_at", [None, 0, ["2026"], {}], ids=["null", "number", "array", "object"])
async def test_running_since_nobody_knows_when(
    started_at: object, fake_daemon: FakeDaemon, engine: Engine
) -> None:
    state = {"Status": "running", "StartedAt": started_at}
    fake_daemon.answer(INSPECT, Answer(200, inspected(state)))
    assert await answered(engine) == Running(FULL, ID, None)


@pytest.mark.parametrize(
    "exit_code",
    [None, "137", 137.5, [], 2**31, -(2**31) - 1, 10**50],
    ids=["null", "text", "fraction", "array", "too large to keep", "too small to keep", "endless"],
)
async def test_an_exit_code_that_is_none_is_left_out(
    exit_code: object, fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.answer(INSPECT, Answer(200, inspected({"Status": "exited", "ExitCode": exit_code})))
    answer = await answered(engine)
    assert isinstance(answer, NotRunning)
    assert (answer.reason, answer.exit_code) == ("exited", None)


@pytest.mark.parametrize("exit_code", [-1, 0, 255, 2**31 - 1])
async def test_an_exit_code_is_any_small_number(
    exit_code: int, fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.answer(INSPECT, Answer(200, inspected({"Status": "exited", "ExitCode": exit_code})))
    answer = await answered(engine)
    assert isinstance(answer, NotRunning)
    assert answer.exit_code == exit_code
