"""A workspace that shows online while its container does not run: noticed at a refusal, and for how long."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from api import contradictions
from api.contradictions import Contradictions
from api.store.access import AccessStore
from shared.database import Database, migrate
from shared.engine import Engine
from shared.ids import container_name
from tests.api.conftest import StartApi
from tests.api.stage import add_agent
from tests.support.daemon import FakeDaemon, State
from tests.support.postgres import connected
from tests.support.wire import Hang

INSTALL = {"source": "local://nowhere"}


async def test_it_lasts_from_a_refusal_until_the_row_says_the_same(start_api: StartApi) -> None:
    async with start_api() as api, connected(api.environment["DATABASE_URL"]) as connection:
        agent = await add_agent(connection)

        async def longest() -> float:
            text = (await api.call("GET", "/metrics")).body.decode()
            found = re.search(r"^healthsweep_contradiction_seconds (\S+)$", text, re.MULTILINE)
            assert found
            return float(found[1])

        assert await longest() == 0
        answer = await api.call("POST", agent.plugins, INSTALL, token=agent.token)
        assert answer.json["code"] == "container_not_running"
        await asyncio.sleep(contradictions.REVIEW_EVERY_S + 1)
        assert await longest() > contradictions.REVIEW_EVERY_S
        await connection.execute("UPDATE workspaces SET status = 'offline' WHERE id = $1", UUID(agent.id))
        async with asyncio.timeout(20):
            while await longest() > 0:
                await asyncio.sleep(0.2)


@asynccontextmanager
async def noticed(url: str, daemon: FakeDaemon, workspace: UUID) -> AsyncIterator[Contradictions]:
    """One about `workspace` that has settled."""
    async with (
        Engine(daemon.host, timeout=0.3) as engine,
        Database(url, application="test") as database,
    ):
        store = AccessStore(database)
        known = Contradictions(engine=engine, store=store, unswept_runtimes={"mock"})
        known.refused(workspace)
        yield known


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contradictions, "SETTLED_AFTER_S", 0.0)


@pytest.mark.usefixtures("settled")
async def test_it_is_over_when_the_container_is_back(database_url: str, fake_daemon: FakeDaemon) -> None:
    async with connected(database_url) as connection:
        workspace = UUID((await add_agent(connection, status="degraded")).id)
    name = container_name(workspace)
    async with noticed(database_url, fake_daemon, workspace) as known:
        await known.review()
        fake_daemon.containers[name] = State("exited")
        await known.review()
        assert known.longest_s() > 0
        fake_daemon.answer("/containers/*/json", Hang())
        await known.review()
        assert known.longest_s() > 0  # Docker cannot tell, so nothing is over
        await fake_daemon.heal()
        fake_daemon.containers[name] = State()
        await known.review()
        assert known.longest_s() == 0


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("status", ["offline", "paused", "removed"])
async def test_a_row_that_does_not_show_online_contradicts_nothing(
    status: str, database_url: str, fake_daemon: FakeDaemon
) -> None:
    async with connected(database_url) as connection:
        workspace = UUID((await add_agent(connection, status=status)).id)
    async with noticed(database_url, fake_daemon, workspace) as known:
        await known.review()
        assert known.longest_s() == 0


async def test_a_workspace_that_is_not_swept_contradicts_nothing(
    database_url: str, fake_daemon: FakeDaemon
) -> None:
    async with connected(database_url) as connection:
        workspace = UUID((await add_agent(connection, runtime="mock")).id)
        async with noticed(database_url, fake_daemon, workspace) as known:
            await known.review()
            assert known.longest_s() == 0


async def test_a_workspace_of_another_host_contradicts_nothing(
    platform_database_url: str, fake_daemon: FakeDaemon
) -> None:
    async with connected(platform_database_url) as connection:
        await migrate(connection)
        workspace = UUID((await add_agent(connection)).id)
        async with noticed(platform_database_url, fake_daemon, workspace) as known:
            await known.review()
            assert known.longest_s() > 0
            await connection.execute("UPDATE workspaces SET instance_id = 'i-1' WHERE id = $1", workspace)
            await known.review()
            assert known.longest_s() == 0


async def test_before_a_sweep_has_had_its_time_docker_is_not_asked_again(
    database_url: str, fake_daemon: FakeDaemon
) -> None:
    async with connected(database_url) as connection:
        workspace = UUID((await add_agent(connection)).id)
    fake_daemon.containers[container_name(workspace)] = State()
    async with noticed(database_url, fake_daemon, workspace) as known:
        await known.review()
        assert known.longest_s() > 0
        assert fake_daemon.requests == []
