"""The truth table: what Docker answers to an inspect, and which of the three outcomes that is.

Each row is a test with an id of its own. A fake daemon answers on a real unix socket, and the real engine
asks it. More that cannot be read: test_running_malformed. Names and time: test_running_names. The list:
test_snapshot.
"""

import asyncio

import pytest

from shared.engine import Engine
from shared.running import NotRunning, Reason, Running
from tests.shared.question import (
    FULL,
    HTML,
    ID,
    INSPECT,
    JSON,
    NO_SUCH_CONTAINER,
    answered,
    inspected,
    unknown,
)
from tests.support.daemon import FakeDaemon, State
from tests.support.wire import NO_SOCKET, REFUSED, Answer, Close, Half, Hang, Reply, Reset, Slow

# Running, or definitely not


async def test_running(fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.containers[FULL] = State("running", id=ID, started_at="2026-05-01T10:00:00Z")
    assert await answered(engine) == Running(FULL, ID, "2026-05-01T10:00:00Z")


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("created", "created"),
        ("exited", "exited"),
        ("paused", "paused"),
        ("restarting", "restarting"),
        ("removing", "removing"),
        ("dead", "dead"),
        ("stopped", "exited"),  # Podman's words
        ("stopping", "exited"),
        ("initialized", "created"),
    ],
)
async def test_not_running(word: str, reason: Reason, fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.containers[FULL] = State(word)
    answer = await answered(engine)
    assert isinstance(answer, NotRunning)
    assert (answer.container_name, answer.reason) == (FULL, reason)


@pytest.mark.parametrize("word", ["exited", "dead", "restarting", "stopped"])
async def test_an_end_has_its_exit_code_and_its_time(
    word: str, fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.containers[FULL] = State(word, exit_code=137, finished_at="2026-05-01T10:00:00Z")
    answer = await answered(engine)
    assert isinstance(answer, NotRunning)
    assert (answer.exit_code, answer.finished_at) == (137, "2026-05-01T10:00:00Z")


@pytest.mark.parametrize("word", ["created", "paused", "removing", "stopping"])
async def test_what_has_not_ended_has_no_exit_code(
    word: str, fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.containers[FULL] = State(word, exit_code=0)
    answer = await answered(engine)
    assert isinstance(answer, NotRunning)
    assert answer.exit_code is None


@pytest.mark.parametrize(
    ("state", "runs"),
    [
        pytest.param({"Status": "paused", "Running": True, "Paused": True}, False, id="paused, Running true"),
        pytest.param({"Status": "restarting", "Running": True}, False, id="restarting, Running true"),
        pytest.param({"Status": "exited", "Running": True}, False, id="exited, Running true"),
        pytest.param({"Status": "running", "Running": False}, True, id="running, Running false"),
        pytest.param({"Status": "running", "Dead": True}, True, id="running, Dead true"),
        pytest.param({"Status": "running"}, True, id="running, no flags"),
    ],
)
async def test_status_decides_and_not_the_flags(
    state: dict[str, object], runs: bool, fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.answer(INSPECT, Answer(200, inspected(state)))
    assert isinstance(await answered(engine), Running) == runs


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(NO_SUCH_CONTAINER, id="dockerd"),
        pytest.param({"cause": "no such container", "message": "no container with name"}, id="podman"),
        pytest.param({"cause": "no such container"}, id="cause alone"),
        pytest.param({"message": "no such container"}, id="message alone"),
        pytest.param({"message": "NO SUCH CONTAINER: X"}, id="upper case"),
        pytest.param({"message": "daemon: no such container: x"}, id="inside a sentence"),
        pytest.param({"message": None, "cause": "No such container"}, id="one of them null"),
    ],
)
async def test_missing(body: object, fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.answer(INSPECT, Answer(404, body))
    assert await answered(engine) == NotRunning(FULL, "missing")


async def test_the_404_is_judged_by_its_text_alone(fake_daemon: FakeDaemon, engine: Engine) -> None:
    bare = b'HTTP/1.1 404 Not Found\r\nContent-Length: 31\r\n\r\n{"message":"No such container"}'
    fake_daemon.answer(INSPECT, bare)
    assert await answered(engine) == NotRunning(FULL, "missing")
    fake_daemon.answer(INSPECT, Answer(404, {"message": "page not found"}, {"Api-Version": "1.41"}))
    assert (await unknown(engine)).reason == "refused"


# Unknown, and why


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(200, inspected({})), id="Status missing"),
        pytest.param(Answer(200, inspected({"Status": None})), id="Status null"),
        pytest.param(Answer(200, inspected({"Status": "zombie"})), id="another word"),
        pytest.param(Answer(200, {"Id": ID}), id="State missing"),
        pytest.param(Answer(200, inspected(None)), id="State null"),
        pytest.param(Answer(200, inspected("exited")), id="State a text"),
        pytest.param(Answer(200, b"null", JSON), id="null"),
        pytest.param(Answer(200, b"[]", JSON), id="empty array"),
        pytest.param(Answer(200, b"exited", JSON), id="text that is called JSON"),
        pytest.param(Answer(200, "<html>Welcome</html>", HTML), id="HTML"),
        pytest.param(Answer(200, "<html>Welcome</html>", JSON), id="HTML that is called JSON"),
        pytest.param(Answer(200, b'{"State": {"Status": "exited"', JSON), id="JSON without its end"),
        pytest.param(Answer(200, {"State": {"Status": "running"}}), id="running without Id"),
    ],
)
async def test_malformed(answer: Answer, fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.answer(INSPECT, answer)
    assert (await unknown(engine)).reason == "malformed"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(404, {"message": "page not found"}), id="page not found"),
        pytest.param(Answer(404, "404 page not found\n"), id="page not found as text"),
        pytest.param(Answer(404, "<html>404 Not Found</html>", HTML), id="HTML"),
        pytest.param(Answer(404, "<html>No such container</html>", HTML), id="HTML with the words"),
        pytest.param(Answer(404, "No such container: ws\n"), id="text with the words"),
        pytest.param(Answer(404), id="no body"),
        pytest.param(Answer(404, b"", JSON), id="no body that is called JSON"),
        pytest.param(Answer(404, b"{}", JSON), id="no message"),
        pytest.param(Answer(404, {"error": "No such container"}), id="the words under another key"),
        pytest.param(Answer(404, {"message": None}), id="message null"),
        pytest.param(Answer(404, {"message": ["No such container"]}), id="message an array"),
        pytest.param(Answer(404, {"message": {"no such container": 1}}), id="message an object"),
        pytest.param(Answer(404, {"message": "No such image: busybox"}), id="no such image"),
        pytest.param(Answer(404, {"message": "no Route matched with those values"}), id="a gateway"),
        pytest.param(Answer(404, b"null", JSON), id="null"),
        pytest.param(Answer(404, b"[]", JSON), id="empty array"),
        pytest.param(Answer(404, b'["no such container"]', JSON), id="array of the words"),
        pytest.param(Answer(404, b'"No such container"', JSON), id="JSON text of the words"),
        pytest.param(Answer(404, b'{"message": "No such container', JSON), id="JSON without its end"),
        pytest.param(Answer(404, b"\xff No such container", JSON), id="no UTF-8"),
    ],
)
async def test_any_other_404_is_refused(answer: Answer, fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.answer(INSPECT, answer)
    error = await unknown(engine)
    assert (error.reason, error.status) == ("refused", 404)


VERSION = {"message": "client version 1.99 is too new. Maximum supported API version is 1.41"}


@pytest.mark.parametrize(
    "body", [NO_SUCH_CONTAINER, VERSION, "Sorry\n", b""], ids=["the words", "a version", "a text", "no body"]
)
@pytest.mark.parametrize("status", [400, 401, 403, 405, 407, 409, 429, 500, 501, 502, 503, 504, 599])
async def test_refused(status: int, body: object, fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.answer(INSPECT, Answer(status, body))
    error = await unknown(engine)
    assert (error.reason, error.status) == ("refused", status)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_a_redirect_is_refused(status: int, fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.answer(INSPECT, Answer(status, NO_SUCH_CONTAINER, {"Location": "/elsewhere"}))
    error = await unknown(engine)
    assert (error.reason, error.status) == ("refused", status)
    assert "/elsewhere" not in [exchange.path for exchange in fake_daemon.requests]


MISSING, EXITED = Answer(404, NO_SUCH_CONTAINER), Answer(200, inspected({"Status": "exited"}))


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Close(), id="EOF"),
        pytest.param(Reset(), id="reset"),
        pytest.param(Half(EXITED), id="half a body"),
        pytest.param(Half(MISSING), id="half a 404"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", id="half a head"),
        pytest.param(
            b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
            b'1f\r\n{"message":"No such container"}\r\n',
            id="chunks without their end",
        ),
    ],
)
async def test_unreachable(reply: Reply, fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.answer(INSPECT, reply)
    assert (await unknown(engine)).reason == "unreachable"


@pytest.mark.parametrize("fault", [REFUSED, NO_SOCKET])
async def test_nobody_there_is_unreachable(fault: str, fake_daemon: FakeDaemon, engine: Engine) -> None:
    await fake_daemon.fault(fault)
    assert (await unknown(engine)).reason == "unreachable"


@pytest.mark.parametrize(
    "reply", [Hang(), Slow(0.8, MISSING), Slow(0.8, EXITED)], ids=["never", "a late 404", "a late answer"]
)
async def test_timeout(reply: Reply, fake_daemon: FakeDaemon, hasty_engine: Engine) -> None:
    fake_daemon.answer(INSPECT, reply)
    assert (await unknown(hasty_engine)).reason == "timeout"


async def test_cancelled(fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.answer(INSPECT, Hang())
    asking = asyncio.create_task(answered(engine))
    while not fake_daemon.inspects:
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert asking.cancelled()
