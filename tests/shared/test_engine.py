"""The door to Docker on the wire: versions, redirects, addresses, endless and trickling answers."""

import asyncio
import errno
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from shared.engine import Engine
from shared.errors import EngineError
from shared.running import NotRunning, Running, container_snapshot
from tests.shared.question import FULL, INSPECT, SHORT, answered, inspected, unknown
from tests.shared.servers import tcp_server, unix_server
from tests.support.daemon import FakeDaemon, State
from tests.support.exchange import Request
from tests.support.wire import NO_SOCKET, REFUSED, Answer, Close, Hang, redirect

# Redirects


@pytest.mark.parametrize(
    ("path", "ask"),
    [("/version", answered), (INSPECT, answered), ("/containers/json", container_snapshot)],
    ids=["version", "inspect", "list"],
)
async def test_the_target_of_a_redirect_is_never_requested(
    path: str, ask: Callable[[Engine], Awaitable[object]], fake_daemon: FakeDaemon, engine: Engine
) -> None:
    reached: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        reached.append(await reader.readline())

    async with tcp_server(serve) as port:
        fake_daemon.answer(path, redirect(f"http://127.0.0.1:{port}/elsewhere"))
        with pytest.raises(EngineError, match="refused: the engine answered 302"):
            await ask(engine)
    assert reached == []


async def test_a_redirect_to_a_container_of_the_same_engine_is_not_followed(
    fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.containers[SHORT] = State("exited")
    fake_daemon.answer(f"/containers/{FULL}/json", redirect(f"/containers/{SHORT}/json", 307))
    assert (await unknown(engine)).status == 307
    assert fake_daemon.inspects == [FULL]


# Connections


async def test_programs_that_hang_in_one_container_do_not_keep_others_from_being_asked(
    fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.containers[FULL] = State("running")
    fake_daemon.answer("/containers/*/exec", Hang())
    hanging = [
        asyncio.create_task(engine.execute("abc", ["sh"], seconds=60, max_output=1)) for _ in range(150)
    ]
    try:
        async with asyncio.timeout(30):
            while len([1 for seen in fake_daemon.requests if seen.path.endswith("/exec")]) < len(hanging):
                await asyncio.sleep(0.01)
        assert isinstance(await answered(engine), Running)
    finally:
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)


# The API version


async def test_the_version_is_the_engines_own_and_asked_for_once(
    fake_daemon: FakeDaemon, engine: Engine
) -> None:
    versions: list[str | None] = []

    async def note(request: Request) -> None:
        versions.append(request.version)

    fake_daemon.answer(INSPECT, note)
    for _ in range(3):
        await answered(engine)
    assert versions == ["1.41"] * 3
    assert [exchange.path for exchange in fake_daemon.requests].count("/version") == 1


@pytest.mark.parametrize(("version", "least"), [("1.24", "1.12"), ("1.52", "1.44")], ids=["older", "newer"])
async def test_another_engine_at_the_same_place_is_asked_for_its_version(
    version: str, least: str, fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.containers[FULL] = State("running")
    assert isinstance(await answered(engine), Running)
    await fake_daemon.stop()
    async with FakeDaemon(fake_daemon.path, api_version=version, min_api_version=least) as successor:
        successor.containers[FULL] = State("paused")
        assert (await unknown(engine)).status == 400
        answer = await answered(engine)
    assert isinstance(answer, NotRunning)
    assert answer.reason == "paused"


async def test_after_an_outage_it_is_asked_for_before_anything_else(
    fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.containers[FULL] = State("running")
    await answered(engine)
    await fake_daemon.stop()
    assert (await unknown(engine)).reason == "unreachable"
    async with FakeDaemon(fake_daemon.path, api_version="1.52", min_api_version="1.44") as successor:
        successor.containers[FULL] = State("running")
        assert isinstance(await answered(engine), Running)


async def test_questions_at_once_survive_a_change_of_version(fake_daemon: FakeDaemon, engine: Engine) -> None:
    await answered(engine)
    fake_daemon.api_version = "1.24"
    await asyncio.gather(*(unknown(engine) for _ in range(8)))
    answers = await asyncio.gather(*(answered(engine) for _ in range(8)))
    assert answers == [NotRunning(FULL, "missing")] * 8


@pytest.mark.parametrize(
    "body",
    [{}, [], {"ApiVersion": None}, {"ApiVersion": "1.41/../x?"}, {"ApiVersion": {}}],
    ids=["empty", "array", "null", "a path", "an object"],
)
async def test_a_version_that_is_none_is_unknown(
    body: object, fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.containers[FULL] = State("exited")
    fake_daemon.answer("/version", Answer(200, body))
    assert (await unknown(engine)).reason in ("malformed", "refused")
    await fake_daemon.heal()
    assert isinstance(await answered(engine), NotRunning)


# Large and slow


async def test_a_large_answer_is_read_whole(fake_daemon: FakeDaemon, engine: Engine) -> None:
    body = {**inspected({"Status": "paused"}), "Config": {"Env": ["x" * 1000] * 16_000}}
    fake_daemon.answer(INSPECT, Answer(200, body))
    assert await answered(engine) == NotRunning(FULL, "paused")


@pytest.mark.parametrize("status", [404, 500])
async def test_a_large_refusal_is_a_refusal(status: int, fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.answer(INSPECT, Answer(status, "<html>" + "x" * 16_000_000))
    assert (await unknown(engine)).status == status


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
EXITED = json.dumps(inspected({"Status": "exited"})).encode()


async def trickle_head(writer: asyncio.StreamWriter) -> None:
    for byte in HEAD:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.05)


async def trickle_body(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + f"Content-Length: {len(EXITED)}\r\n\r\n".encode())
    for byte in EXITED:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.05)


async def pour(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"\r\n[")
    while True:
        writer.write(b" " * 1000)
        await writer.drain()
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("send", [trickle_head, trickle_body, pour])
async def test_what_has_no_end_ends_at_the_deadline(
    send: Callable[[asyncio.StreamWriter], Awaitable[None]], run_directory: Path
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await send(writer)

    began = time.monotonic()
    async with unix_server(serve, run_directory / "slow.sock") as host, Engine(host, timeout=0.4) as engine:
        assert (await unknown(engine)).reason == "timeout"
        assert time.monotonic() - began < 4


async def test_after_a_timeout_the_next_question_is_answered(
    fake_daemon: FakeDaemon, hasty_engine: Engine
) -> None:
    fake_daemon.answer(INSPECT, Hang(), times=1)
    assert (await unknown(hasty_engine)).reason == "timeout"
    assert await answered(hasty_engine) == NotRunning(FULL, "missing")


# Why it is unreachable, in words


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (NO_SOCKET, "No such file or directory"),
        (REFUSED, "Connection refused"),
        ("reset", "Connection reset by peer"),
        ("nothing", "ServerDisconnectedError"),
    ],
)
async def test_it_says_why(fault: str, words: str, fake_daemon: FakeDaemon, engine: Engine) -> None:
    await fake_daemon.fault(fault)
    error = await unknown(engine)
    assert (error.reason, error.detail) == ("unreachable", words)


async def test_every_question_about_one_container_is_counted(fake_daemon: FakeDaemon, engine: Engine) -> None:
    await answered(engine, unique=True)
    fake_daemon.answer(INSPECT, Close())
    await unknown(engine)
    await container_snapshot(engine)
    assert engine.inspects == 3


async def test_what_the_pieces_of_an_upload_raise_is_no_failure_of_the_engine(
    fake_daemon: FakeDaemon, engine: Engine
) -> None:
    def breaking() -> Iterator[bytes]:
        yield bytes(512)
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        await engine.upload(FULL, "/configs", breaking(), seconds=5)


async def test_a_refusal_carries_what_was_said_cut_short(fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.answer(
        "/containers/*/archive", Answer(500, {"message": "no space left on device" + "!" * 999})
    )
    with pytest.raises(EngineError, match=r"the engine answered 500: no space left on device!{177}$"):
        await engine.upload(FULL, "/configs", [bytes(1024)], seconds=5)
