"""Whether the sweeper sweeps: read from a real one, from one that hangs, and from whoever else is there."""

import asyncio
import signal

import pytest

from deploy.command.pulse import feel
from shared.settings import Settings
from tests.support.api import free_port
from tests.support.daemon import FakeDaemon
from tests.support.postgres import PostgresServer
from tests.sweeper.service import add_workspace, quick_sweeper

pytestmark = pytest.mark.usefixtures("processes")


async def test_a_real_sweeper(database_url: str, fake_daemon: FakeDaemon) -> None:
    settings = Settings(metrics_port=free_port())
    away = await feel(settings)
    assert (away.state, away.last_sweep_s) == ("away", None)
    for _ in range(5):
        await add_workspace(database_url)
    port = {"METRICS_PORT": str(settings.metrics_port)}
    async with quick_sweeper(database_url, fake_daemon.host, **port) as sweeper:
        await sweeper.event("sweep.completed")
        pulse = await feel(settings)
        assert (pulse.state, pulse.holds) == ("sweeping", True)  # five candidates, and no container of theirs
        assert pulse.last_sweep_s is not None
        assert pulse.last_sweep_s < 10
        sweeper.send_signal(signal.SIGSTOP)
        assert (await feel(settings)).state == "silent"
        sweeper.send_signal(signal.SIGCONT)


async def test_a_sweeper_that_waits_for_its_database(fake_daemon: FakeDaemon) -> None:
    settings = Settings(metrics_port=free_port())
    port = {"METRICS_PORT": str(settings.metrics_port)}
    url = "postgresql:///db?host=/nowhere"
    async with quick_sweeper(url, fake_daemon.host, **port) as sweeper:
        await sweeper.event("database.unreachable")
        assert (await feel(settings)).state == "starting"


async def test_one_that_has_stopped_sweeping(
    database_url: str, postgres: PostgresServer, fake_daemon: FakeDaemon
) -> None:
    """Its database is gone, so no sweep ends any more."""
    settings = Settings(metrics_port=free_port())
    port = {"METRICS_PORT": str(settings.metrics_port)}
    async with quick_sweeper(database_url, fake_daemon.host, **port) as sweeper:
        await sweeper.event("sweep.completed")
        await postgres.drop_database(database_url)
        await sweeper.event("database.unreachable")
        async with asyncio.timeout(20):
            while (pulse := await feel(settings)).state == "sweeping":
                await asyncio.sleep(0.1)
        assert pulse.state == "late"
        assert pulse.last_sweep_s is not None
        assert pulse.last_sweep_s > 3


async def test_whoever_else_is_there() -> None:
    assert (await feel(Settings(metrics_port=0))).state == "unknown"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert (await feel(Settings(metrics_port=port))).state == "unknown"
