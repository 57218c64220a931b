"""`python -m sweeper`: how it starts, goes on and ends."""

import asyncio
import itertools
import os
import signal
import sys
from pathlib import Path

import pytest

from deploy.children import tied
from shared import __version__
from shared.ids import container_name
from tests.support.daemon import FakeDaemon, State
from tests.support.exchange import Request
from tests.support.manager import Manager
from tests.support.processes import CHECKOUT, service_environment
from tests.support.wire import Hang, Slow
from tests.sweeper.service import add_with_container, hanging_write, quick_sweeper, statuses

DEAD = State("exited", exit_code=137)
pytestmark = pytest.mark.usefixtures("processes")

SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


async def test_it_says_what_it_does_from_start_to_end(
    database_url: str, fake_daemon: FakeDaemon, short_directory: Path
) -> None:
    with Manager(short_directory / "notify.sock") as manager:
        secret = database_url.replace("postgres@", "postgres:hunter2@")
        async with quick_sweeper(secret, fake_daemon.host, NOTIFY_SOCKET=str(manager.path)) as sweeper:
            assert await manager.told() == "READY=1"
            await sweeper.sweeps(3)
            assert manager.silent()
            sweeper.send_signal(signal.SIGTERM)
            assert await manager.told() == "STOPPING=1"
            assert await sweeper.wait(timeout=20) == 0
    assert sweeper.noise == []
    names = [line["event"] for line in sweeper.lines]
    sweeps = names.count("sweep.completed")
    assert names == [
        "process.started",
        *["sweep.completed"] * sweeps,
        "process.stopping",
        "process.stopped",
    ]
    started, stopping, stopped = sweeper.lines[0], sweeper.lines[-2], sweeper.lines[-1]
    assert (started["version"], started["settings"]["DATABASE_URL"]) == (__version__, "(set)")
    assert started["settings"]["SWEEP_INTERVAL"] == 1
    assert stopping["signal"] == "SIGTERM"
    assert stopped["duration_s"] > 1
    assert all((line["process"], line["level"]) == ("sweeper", "info") for line in sweeper.lines)
    assert "hunter2" not in str(sweeper.lines)
    assert fake_daemon.requests == []  # no workspace, no question


async def test_one_line_for_each_sweep(database_url: str, fake_daemon: FakeDaemon) -> None:
    async with quick_sweeper(database_url, fake_daemon.host) as sweeper:
        workspace = await add_with_container(database_url, fake_daemon, State())
        here = sweeper.position
        await sweeper.sweeps(1)
        fake_daemon.reset()
        fake_daemon.containers[container_name(workspace)] = DEAD
        await sweeper.event("workspace.marked_offline", after=here)
        fake_daemon.containers[container_name(workspace)] = State(started_at="2026-01-01T00:00:09Z")
        await sweeper.event("workspace.marked_online", after=here)
        await sweeper.sweeps(1)
        lines = sweeper.events("sweep.completed", after=here)
        assert len({line["sweep_id"] for line in lines}) == len(lines)
        assert fake_daemon.lists == len(lines) - 1
        assert (sum(line["marked_offline"] for line in lines), sum(line["inspects"] for line in lines)) == (
            1,
            3,
        )
        for event in ("workspace.marked_offline", "workspace.marked_online"):
            (mark,) = sweeper.events(event)
            (its_sweep,) = sweeper.events("sweep.completed", sweep_id=mark["sweep_id"])
            assert sweeper.lines.index(mark) < sweeper.lines.index(its_sweep)  # graces belong to their sweep


@SIGNALS
async def test_a_signal_ends_a_hung_question(
    database_url: str, fake_daemon: FakeDaemon, number: signal.Signals
) -> None:
    workspace = await add_with_container(database_url, fake_daemon, DEAD)
    asked = asyncio.Event()

    async def hang(_: Request) -> Hang:
        asked.set()
        return Hang()

    fake_daemon.answer("/containers/ws-*/json", hang)
    async with quick_sweeper(database_url, fake_daemon.host, ENGINE_TIMEOUT="60") as sweeper:
        await asyncio.wait_for(asked.wait(), 20)
        sweeper.send_signal(number)
        assert await sweeper.wait(timeout=20) == 0
    assert [line["signal"] for line in sweeper.events("process.stopping")] == [number.name]
    assert sweeper.noise == []
    assert await statuses(database_url) == {workspace: "online"}


@SIGNALS
async def test_the_first_signal_lets_the_write_finish(
    database_url: str, fake_daemon: FakeDaemon, number: signal.Signals
) -> None:
    workspace = await add_with_container(database_url, fake_daemon, DEAD)
    async with (
        quick_sweeper(database_url, fake_daemon.host) as sweeper,
        hanging_write(database_url) as release,
    ):
        sweeper.send_signal(number)
        await sweeper.event("process.stopping")
        await asyncio.sleep(0.3)
        assert sweeper.status is None
        await release()
        assert await sweeper.wait(timeout=20) == 0
    names = [line["event"] for line in sweeper.lines]
    assert names[-3:] == ["process.stopping", "workspace.marked_offline", "process.stopped"]
    assert await statuses(database_url) == {workspace: "offline"}
    assert sweeper.noise == []


@SIGNALS
async def test_the_second_signal_kills(
    database_url: str, fake_daemon: FakeDaemon, number: signal.Signals
) -> None:
    await add_with_container(database_url, fake_daemon, DEAD)
    async with (
        quick_sweeper(database_url, fake_daemon.host) as sweeper,
        hanging_write(database_url),
    ):
        sweeper.send_signal(signal.SIGTERM)
        await sweeper.event("process.stopping")
        sweeper.send_signal(number)
        assert await sweeper.wait(timeout=20) == -number


async def test_a_write_that_fails_after_the_signal_does_not_keep_it(
    database_url: str, fake_daemon: FakeDaemon
) -> None:
    workspace = await add_with_container(database_url, fake_daemon, DEAD)
    async with (
        quick_sweeper(database_url, fake_daemon.host) as sweeper,
        hanging_write(database_url),  # until it waits for the lock no longer, after five seconds
    ):
        sweeper.send_signal(signal.SIGTERM)
        assert await sweeper.wait(timeout=20) == 0
    assert sweeper.noise == []
    assert await statuses(database_url) == {workspace: "online"}


async def test_a_sweep_that_takes_too_long_is_said_and_never_overlaps(
    database_url: str, fake_daemon: FakeDaemon
) -> None:
    await add_with_container(database_url, fake_daemon, State())
    fake_daemon.answer("/containers/json", Slow(1.3))
    async with quick_sweeper(database_url, fake_daemon.host, ENGINE_TIMEOUT="5") as sweeper:
        line = await sweeper.event("sweep.overran")
        await sweeper.sweeps(2)
    assert (line["level"], line["interval_ms"]) == ("warning", 1000)
    assert line["late_ms"] >= 1300
    lists = [exchange for exchange in fake_daemon.requests if exchange.path == "/containers/json"]
    for first, second in itertools.pairwise(lists):
        assert first.answered_at is not None
        assert first.answered_at <= second.at


async def test_a_quick_sweep_is_not_late(database_url: str, fake_daemon: FakeDaemon) -> None:
    await add_with_container(database_url, fake_daemon, State())
    async with quick_sweeper(database_url, fake_daemon.host) as sweeper:
        await sweeper.sweeps(4)
        first, *_, last = [line.received_at for line in sweeper.events("sweep.completed")]
    assert 2.5 < (last - first).total_seconds() < 9
    assert not sweeper.events("sweep.overran")


@pytest.mark.parametrize("output", ["closed", "full"])
async def test_a_log_that_nobody_takes_ends_nothing_and_keeps_nobody(
    database_url: str, fake_daemon: FakeDaemon, output: str
) -> None:
    """Its reader has gone (`python -m sweeper | head -1`), or the disk is full."""
    workspace = await add_with_container(database_url, fake_daemon, State("exited"))
    environment = {"DATABASE_URL": database_url, "DOCKER_HOST": fake_daemon.host, "METRICS_PORT": "0"}
    reader, writer = os.pipe()
    if output == "full":
        os.close(writer)
        writer = os.open("/dev/full", os.O_WRONLY)
    os.close(reader)
    process = await asyncio.create_subprocess_exec(
        *tied([sys.executable, "-m", "sweeper"]),
        cwd=CHECKOUT,
        env=service_environment({**environment, "SWEEP_INTERVAL": "1", "OFFLINE_GRACE": "0"}),
        stdout=writer,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(writer)
    async with asyncio.timeout(30):
        while await statuses(database_url) != {workspace: "offline"} or fake_daemon.lists < 3:
            assert process.returncode is None
            await asyncio.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        _, said = await process.communicate()
    assert (process.returncode, said) == (0, b"")
