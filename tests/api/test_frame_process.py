"""The process itself: health, readiness, metrics, how it starts without a database, and how it ends."""

import asyncio
import re
import signal
from pathlib import Path

import aiohttp
import pytest

from shared.database import migrate
from tests.api.conftest import StartApi
from tests.api.stage import Agent, Stage, add_agent, staged
from tests.support.api import ADMIN_TOKEN, Answer, Api, free_port, running_api
from tests.support.daemon import FakeDaemon, State
from tests.support.description import DESCRIPTION
from tests.support.postgres import PostgresServer, connected
from tests.support.wire import Slow

QUICK = {"ENGINE_TIMEOUT": "0.5"}


async def test_health_is_text_only(api: Api) -> None:
    answer = await api.call("GET", "/health")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


async def test_readiness_names_the_engine_that_is_away(start_api: StartApi, fake_daemon: FakeDaemon) -> None:
    async with start_api(**QUICK) as api:
        answer = await api.call("GET", "/ready")
        assert (answer.status, answer.json) == (200, {"status": "ok", "database": "ok", "engine": "ok"})
        for fault, reason in (("hang", "timeout"), ("502", "refused"), ("no socket", "unreachable")):
            await fake_daemon.fault(fault)
            answer = await api.call("GET", "/ready")
            assert (answer.status, answer.json["engine"]) == (200, f"away ({reason})")


async def test_readiness_follows_the_database(
    private_postgres: PostgresServer, fake_daemon: FakeDaemon, short_directory: Path
) -> None:
    url = await private_postgres.create_migrated_database()
    environment = {"DATABASE_URL": url, "DOCKER_HOST": fake_daemon.host, **QUICK}
    async with running_api(environment, short_directory / "api") as api:
        async with connected(url) as connection:
            agent = await add_agent(connection)
        await private_postgres.set_read_only(True)
        await not_ready(api, "read-only")
        beat = {"workspace_id": agent.id, "error_rate": 0.1}
        answer = await api.call("POST", "/registry/heartbeat", beat, token=agent.token)
        assert (answer.status, answer.json["code"]) == (503, "platform_unavailable")
        await private_postgres.set_read_only(False)
        await api.until("/ready")
        await private_postgres.stop()
        await not_ready(api, "away")
        assert (await api.call("GET", "/health")).status == 200
        assert (await api.call("GET", "/plugins")).status == 200
        await api.event("database.unreachable")
        await private_postgres.start()
        await api.event("database.recovered")
        assert (await api.call("GET", "/ready")).status == 200
        answer = await api.call("POST", "/registry/heartbeat", beat, token=agent.token)
        assert answer.status == 200


async def not_ready(api: Api, why: str) -> None:
    answer = await api.call("GET", "/ready")
    assert answer.status == 503
    assert (answer.json["code"], answer.json["database"]) == ("platform_unavailable", why)
    assert answer.json["engine"] == "ok"
    assert "DATABASE_URL" not in answer.body.decode()


async def test_it_serves_before_there_is_a_database(
    private_postgres: PostgresServer, fake_daemon: FakeDaemon, short_directory: Path
) -> None:
    url = await private_postgres.create_migrated_database()
    await private_postgres.stop()
    environment = {"DATABASE_URL": url, "DOCKER_HOST": fake_daemon.host}
    async with running_api(environment, short_directory / "api", ready=False) as api:
        assert (await api.call("GET", "/health")).status == 200
        assert (await api.call("GET", "/ready")).status == 503
        answer = await api.call("GET", "/workspaces", token=ADMIN_TOKEN)
        assert (answer.status, answer.json["code"]) == (503, "platform_unavailable")
        await private_postgres.start()
        await api.until("/ready")
        assert (await api.call("GET", "/workspaces", token=ADMIN_TOKEN)).json == []


@pytest.mark.usefixtures("processes")
async def test_it_serves_before_the_database_is_migrated(
    postgres: PostgresServer, fake_daemon: FakeDaemon, short_directory: Path
) -> None:
    url = await postgres.create_database()
    environment = {"DATABASE_URL": url, "DOCKER_HOST": fake_daemon.host}
    async with running_api(environment, short_directory / "api", ready=False) as api:
        await api.event("schema.outdated")
        assert (await api.call("GET", "/ready")).status == 503
        answer = await api.call("GET", "/workspaces", token=ADMIN_TOKEN)
        assert (answer.status, answer.json["code"]) == (503, "platform_unavailable")
        async with connected(url) as connection:
            await migrate(connection)
        await api.until("/ready")
        assert (await api.call("GET", "/workspaces", token=ADMIN_TOKEN)).json == []


async def test_metrics_count_requests_by_their_pattern(start_api: StartApi) -> None:
    async with start_api() as api:
        for number in range(3):
            await api.call("GET", f"/workspaces/{number}/plugins")
        await api.call("GET", "/who/knows")
        answer = await api.call("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    counted = {
        tuple(re.findall(r'"([^"]*)"', labels)): float(count)
        for labels, count in re.findall(
            r"^healthsweep_requests_total\{(.*)\} (.*)$", answer.body.decode(), re.MULTILINE
        )
    }
    assert counted["GET", "/workspaces/{id}/plugins", "401"] == 3
    assert counted["GET", "unknown", "404"] == 1
    # Whose increase alarms somebody is counted from 0 on; a 503 is no failure of an install.
    install = DESCRIPTION.document["paths"]["/workspaces/{id}/plugins"]["post"]
    failures = {status for status in install["responses"] if status >= "500"} - {"503"}
    alarming = {key: count for key, count in counted.items() if key[0] == "POST"}
    assert alarming == {("POST", "/workspaces/{id}/plugins", status): 0 for status in failures}
    assert 'healthsweep_build_info{version="' in answer.body.decode()
    assert ADMIN_TOKEN not in answer.body.decode()


async def test_what_is_quiet_while_all_is_well(start_api: StartApi) -> None:
    async with start_api() as api:
        async with connected(api.environment["DATABASE_URL"]) as connection:
            agent = await add_agent(connection)
        here = api.position
        beat = {"workspace_id": agent.id}
        for path in ("/health", "/ready", "/metrics"):
            assert (await api.call("GET", path)).status == 200
        assert (await api.call("POST", "/registry/heartbeat", beat, token=agent.token)).status == 200
        await api.call("POST", "/registry/heartbeat", beat, token="wrong")
        line = await api.event("request.completed", after=here)
        assert (line["route"], line["status"]) == ("/registry/heartbeat", 401)


@pytest.mark.usefixtures("processes")
async def test_a_request_in_flight_is_answered_before_it_ends(
    database_url: str, short_directory: Path
) -> None:
    async with staged(database_url, short_directory) as stage:
        slow = await stage.agent(container=State("exited"))
        stage.daemon.answer("/containers/*/json", Slow(0.8))
        idle, _ = await asyncio.open_connection("127.0.0.1", int(stage.api.environment["PORT"]))
        asking = asyncio.create_task(delete(stage, slow))
        while not stage.daemon.inspects:
            await asyncio.sleep(0.01)
        stage.api.send_signal(signal.SIGTERM)
        await stage.api.event("process.stopping", signal="SIGTERM")
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(f"{stage.api.url}/health")
        answer = await asking
        assert (answer.status, answer.json["code"]) == (503, "container_not_running")
        assert await stage.api.wait(timeout=10) == 0
        assert await idle.read() == b""
        assert stage.api.events("process.stopped")
        assert not stage.api.events("request.failed")
        assert not stage.api.events("library.message")


async def delete(stage: Stage, agent: Agent) -> Answer:
    return await stage.api.call("DELETE", f"{agent.plugins}/p", token=agent.token)


async def test_it_ends_at_once_where_nobody_asks(start_api: StartApi) -> None:
    async with start_api() as api:
        assert (await api.call("GET", "/health")).status == 200  # its connection stays open
        api.send_signal(signal.SIGTERM)
        assert await api.wait(timeout=5) == 0


@pytest.mark.parametrize(("variable", "value"), [("RATE_LIMIT", "many"), ("PORT", "taken")])
async def test_a_variable_that_cannot_be_used_is_named(
    api: Api, database_url: str, short_directory: Path, variable: str, value: str
) -> None:
    environment = {
        "DATABASE_URL": database_url,
        "ADMIN_TOKEN": ADMIN_TOKEN,
        "PORT": str(free_port()),
        "HEALTHSWEEP_HOME": str(short_directory / "home"),
        variable: api.environment["PORT"] if value == "taken" else value,
    }
    async with Api(environment) as other:
        assert await other.wait(timeout=20) == 78
        (line,) = other.events("settings.invalid")
        assert (line["level"], line["variable"]) == ("critical", variable)
