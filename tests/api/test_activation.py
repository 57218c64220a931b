"""The api at a socket that a service manager holds, and what it says to the manager."""

import asyncio
import signal
import socket
from pathlib import Path

import aiohttp
import pytest

from tests.support.api import ADMIN_TOKEN, Api, free_port, running_api
from tests.support.manager import Manager
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.usefixtures("processes")

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


async def test_no_request_is_lost_over_a_restart(database_url: str, short_directory: Path) -> None:
    environment = {"DATABASE_URL": database_url, **NO_ENGINE}
    answers: list[int] = []
    enough = asyncio.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        async with (
            running_api(environment, short_directory, passed=listening) as first,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as client,
        ):
            with pytest.raises(aiohttp.ClientConnectorError):  # PORT does not count
                await client.get(f"http://127.0.0.1:{first.environment['PORT']}/health")

            async def ask() -> None:
                while not enough.is_set():
                    async with client.get(f"{first.url}/health") as answer:
                        answers.append(answer.status)

            asking = asyncio.gather(*(ask() for _ in range(100)))
            await asyncio.sleep(0.3)
            before = len(answers)
            first.send_signal(signal.SIGTERM)
            assert await first.wait(timeout=20) == 0
            meanwhile = len(answers)
            async with running_api(environment, short_directory, passed=listening):
                await asyncio.sleep(0.3)
                enough.set()
                await asking
    assert set(answers) == {200}
    assert 0 < before < meanwhile + 100 < len(answers)


async def test_who_connected_in_time_is_answered_also_when_it_speaks_late(
    database_url: str, short_directory: Path
) -> None:
    async with running_api({"DATABASE_URL": database_url, **NO_ENGINE}, short_directory) as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(api.environment["PORT"]))
        await api.call("GET", "/health")  # accepted after the other one
        api.send_signal(signal.SIGTERM)
        await asyncio.sleep(1)
        writer.write(b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        assert await api.wait(timeout=20) == 0
        writer.close()


async def test_a_socket_that_nobody_can_call_at_is_named(database_url: str, short_directory: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 0))
        environment = {
            "DATABASE_URL": database_url,
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "PORT": str(free_port()),
            "HEALTHSWEEP_HOME": str(short_directory),
        }
        async with Api(environment, passed=datagrams) as api:
            assert await api.wait(timeout=20) == 78
    (line,) = api.events("settings.invalid")
    assert line["variable"] == "ListenStream"


async def test_what_the_manager_hears(private_postgres: PostgresServer, short_directory: Path) -> None:
    url = await private_postgres.create_migrated_database()
    await private_postgres.stop()
    with Manager(short_directory / "notify") as manager:
        environment = {"DATABASE_URL": url, **NO_ENGINE, **manager.watching(2)}
        async with running_api(environment, short_directory, ready=False) as api:
            assert await manager.status("waiting") == "waiting for the database: requests get 503"
            await asyncio.sleep(3)
            assert manager.silent()
            await private_postgres.start()
            assert await manager.told() == "READY=1"
            assert await manager.status("serving")
            await asyncio.sleep(3)  # the presence row is renewed every 5 s
            assert manager.longest_silence() < 2
            api.send_signal(signal.SIGTERM)
            assert await manager.told() == "STOPPING=1"
            assert await manager.status("finishing")


@pytest.mark.long
async def test_a_postgresql_that_hangs_is_no_reason_to_be_ended(
    private_postgres: PostgresServer, short_directory: Path
) -> None:
    url = await private_postgres.create_migrated_database()
    with Manager(short_directory / "notify") as manager:
        environment = {"DATABASE_URL": url, **NO_ENGINE, **manager.watching(60)}
        async with running_api(environment, short_directory) as api:
            assert await manager.told() == "READY=1"
            private_postgres.pause()
            await asyncio.sleep(60)
            private_postgres.resume()
            await api.event("database.recovered")
            assert manager.longest_silence() < 30  # half of WatchdogSec in the unit


async def test_a_refused_setting_is_said_to_the_manager(database_url: str, short_directory: Path) -> None:
    with Manager(short_directory / "notify") as manager:
        environment = {
            "DATABASE_URL": database_url,
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "PORT": str(free_port()),
            "SWEEP_INTERVAL": "soon",
            "HEALTHSWEEP_HOME": str(short_directory),
            "NOTIFY_SOCKET": str(manager.path),
        }
        async with Api(environment) as api:
            assert await api.wait(timeout=20) == 78
        assert await manager.status("refused: SWEEP_INTERVAL must be")
