"""The fake daemon itself: a test that lies is worse than none."""

import asyncio
import contextlib
import time
from pathlib import Path

import aiodocker
import aiohttp
import pytest

from tests.support.asking import INSPECT, OUTCOMES, get, outcome
from tests.support.daemon import FakeDaemon, State
from tests.support.exchange import Request
from tests.support.wire import FAULTS, Answer, Close, Half, Hang, Reply, Slow

MISSING = Answer(404, {"message": "No such container: ws-a"})


async def test_it_answers_as_a_healthy_dockerd_would(fake_daemon: FakeDaemon) -> None:
    fake_daemon.containers = {
        "ws-a": State("exited", exit_code=137),
        "ws-b": State(id="beef" * 16, started_at="2026-02-03T04:05:06Z"),
        "ws-c": State("dead"),
    }
    async with aiodocker.Docker(url=fake_daemon.host) as docker:
        everyone = await docker.containers.list(all=True)
        alive = await docker.containers.list()
        shown = [await docker.containers.container(name).show() for name in ("ws-a", "ws-b", "beef")]
        with pytest.raises(aiodocker.DockerError, match="No such container: ws-x"):
            await docker.containers.container("ws-x").show()
    assert {c["Names"][0]: c["State"] for c in everyone} == {
        "/ws-a": "exited",
        "/ws-b": "running",
        "/ws-c": "removing",
    }
    assert [c["Names"] for c in alive] == [["/ws-b"]]
    assert shown[0]["State"]["ExitCode"] == 137
    assert shown[1]["Id"] == shown[2]["Id"] == "beef" * 16
    assert shown[1]["State"]["StartedAt"] == "2026-02-03T04:05:06Z"
    assert fake_daemon.lists == 2
    assert fake_daemon.inspects == ["ws-a", "ws-b", "beef", "ws-x"]
    assert fake_daemon.requests[0].path == "/version"
    fake_daemon.reset()
    assert not fake_daemon.requests


async def test_it_refuses_a_version_that_it_does_not_speak(short_directory: Path) -> None:
    async with FakeDaemon(short_directory / "s", api_version="1.52", min_api_version="1.44") as daemon:
        daemon.containers["ws-a"] = State()
        status, body = await get(daemon, INSPECT)
        assert status == 400
        assert b"too old. Minimum supported API version is 1.44" in body
        assert (await get(daemon, INSPECT.replace("1.41", "1.52")))[0] == 200


async def test_a_thousand_containers_are_quick(fake_daemon: FakeDaemon) -> None:
    fake_daemon.containers = {f"ws-{number}": State() for number in range(1000)}
    async with aiodocker.Docker(url=fake_daemon.host) as docker:
        await docker.containers.list(all=True)
        began = time.perf_counter()
        assert len(await docker.containers.list(all=True)) == 1000
        assert time.perf_counter() - began < 5


async def test_a_slow_container_slows_nobody_else(fake_daemon: FakeDaemon) -> None:
    fake_daemon.containers = {"ws-a": State(delay=60), "ws-b": State()}
    async with aiodocker.Docker(url=fake_daemon.host) as docker, asyncio.timeout(20):
        slow = asyncio.create_task(docker.containers.container("ws-a").show())
        await asyncio.gather(*(docker.containers.container("ws-b").show() for _ in range(50)))
        assert len(await docker.containers.list(all=True)) == 2
        assert not slow.done()
        slow.cancel()


@pytest.mark.parametrize("fault", FAULTS)
async def test_every_fault_shows_and_heals(fake_daemon: FakeDaemon, fault: str) -> None:
    fake_daemon.containers["ws-a"] = State()
    await fake_daemon.fault(fault)
    assert await outcome(fake_daemon) == OUTCOMES[fault]
    await fake_daemon.heal()
    assert (await outcome(fake_daemon)).startswith("200 ")


async def test_a_script_is_for_some_requests_and_the_newest_wins(fake_daemon: FakeDaemon) -> None:
    fake_daemon.containers["ws-a"] = State()
    fake_daemon.answer("/containers/*/json", Answer(500, "older"))
    fake_daemon.answer("/containers/*/json", Slow(0.05, MISSING), times=1)
    assert [(await get(fake_daemon, INSPECT))[0] for _ in range(3)] == [404, 500, 500]
    assert (await get(fake_daemon, "/containers/json"))[0] == 200


async def test_any_bytes_can_be_an_answer(fake_daemon: FakeDaemon) -> None:
    fake_daemon.answer("*", b"SSH-2.0-OpenSSH_9.2\r\n")
    with pytest.raises(aiohttp.ClientError):
        await get(fake_daemon, INSPECT)


async def test_a_reused_connection_can_fail_too(fake_daemon: FakeDaemon) -> None:
    fake_daemon.containers["ws-a"] = State()
    connector = aiohttp.UnixConnector(str(fake_daemon.path))
    async with aiohttp.ClientSession("http://engine", connector=connector) as session:
        assert (await session.get(INSPECT)).status == 200
        fake_daemon.answer("*", Half())
        async with session.get(INSPECT) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()


async def test_a_hook_runs_between_the_question_and_its_answer(fake_daemon: FakeDaemon) -> None:
    async def start(request: Request) -> Reply | None:
        fake_daemon.containers["ws-a"] = State("running")
        return None if request.path.endswith("/ws-a/json") else Close()

    fake_daemon.answer("/containers/*/json", start)
    status, body = await get(fake_daemon, INSPECT)
    assert (status, b'"running"' in body) == (200, True)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await get(fake_daemon, INSPECT.replace("ws-a", "ws-b"))


async def test_a_broken_hook_is_not_swallowed(short_directory: Path) -> None:
    async def broken(_: Request) -> Reply | None:
        raise KeyError("broken")

    daemon = FakeDaemon(short_directory / "s")
    daemon.answer("*", broken)
    with pytest.raises(ExceptionGroup, match="hooks failed"):  # noqa: PT012 - it is raised by leaving
        async with daemon:
            with contextlib.suppress(aiohttp.ClientError):
                await get(daemon, INSPECT)


async def test_a_hanging_client_does_not_keep_a_server_from_stopping(fake_daemon: FakeDaemon) -> None:
    fake_daemon.answer("*", Hang())
    waiting = asyncio.create_task(get(fake_daemon, INSPECT))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(10):
        await fake_daemon.stop(leave_file=True)
    with pytest.raises(aiohttp.ClientError):
        await waiting
    assert fake_daemon.path.is_socket()
