"""A workspace that shows online while its container does not run: noticed at a refusal, and for how long."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from api import contradictions
from api.contradictions import Contradictions
from api.store.access import AccessStore
from shared.database import Database, migrate
from shared.engine import Engine
from shared.errors import DatabaseUnavailable
from shared.ids import container_name
from tests.api.conftest import StartApi
from tests.api.stage import add_agent
from tests.support.api import Api
from tests.support.daemon import FakeDaemon, State
from tests.support.postgres import connected
from tests.support.roles import blind_to_the_runtime, role
from tests.support.wire import Hang

ENGINE_TIMEOUT_S = 1.0
INSTALL = {"source": "local://nowhere"}


async def longest(api: Api) -> float:
    """What the metric says, in seconds."""
    text = (await api.call("GET", "/metrics")).body.decode()
    found = re.search(r"^healthsweep_contradiction_seconds (\S+)$", text, re.MULTILINE)
    assert found
    return float(found[1])


async def test_it_lasts_from_a_refusal_until_the_row_says_the_same(start_api: StartApi) -> None:
    async with start_api() as api, connected(api.environment["DATABASE_URL"]) as connection:
        agent = await add_agent(connection)
        assert await longest(api) == 0
        answer = await api.call("POST", agent.plugins, INSTALL, token=agent.token)
        assert answer.json["code"] == "container_not_running"
        async with asyncio.timeout(20):
            while await longest(api) == 0:
                await asyncio.sleep(0.2)
        await connection.execute("UPDATE workspaces SET status = 'offline' WHERE id = $1", UUID(agent.id))
        async with asyncio.timeout(20):
            while await longest(api) > 0:
                await asyncio.sleep(0.2)


@asynccontextmanager
async def noticed(url: str, daemon: FakeDaemon, *workspaces: UUID) -> AsyncIterator[Contradictions]:
    """One about each of the `workspaces`."""
    async with (
        Engine(daemon.host, timeout=ENGINE_TIMEOUT_S) as engine,
        Database(url, application="test") as database,
    ):
        store = AccessStore(database)
        known = Contradictions(engine=engine, store=store, exempt_runtimes={"external", "mock"})
        for workspace in workspaces:
            known.refused(workspace)
        yield known


async def is_seen(known: Contradictions) -> bool:
    """Whether a review finds that one still lasts."""
    lasted = known.longest_s()
    await asyncio.sleep(0.01)
    await known.review()
    return known.longest_s() > lasted


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
        assert await is_seen(known)
        fake_daemon.containers[name] = State()
        await known.review()
        assert known.longest_s() == 0


@pytest.mark.usefixtures("settled")
async def test_while_docker_cannot_tell_it_is_neither_over_nor_older(
    database_url: str, fake_daemon: FakeDaemon
) -> None:
    async with connected(database_url) as connection:
        workspaces = [UUID((await add_agent(connection)).id) for _ in range(3)]
    async with noticed(database_url, fake_daemon, *workspaces) as known:
        assert await is_seen(known)
        lasted = known.longest_s()
        fake_daemon.answer("/containers/*/json", Hang())
        began = time.monotonic()
        await known.review()
        assert time.monotonic() - began < 2 * ENGINE_TIMEOUT_S  # all at once
        assert known.longest_s() == lasted
        await fake_daemon.heal()
        assert await is_seen(known)


async def test_while_the_database_cannot_tell_it_is_neither_over_nor_older(
    database_url: str, fake_daemon: FakeDaemon
) -> None:
    async with (
        connected(database_url) as connection,
        role(database_url) as url,
    ):
        workspace = UUID((await add_agent(connection)).id)
        async with noticed(url, fake_daemon, workspace) as known:
            assert await is_seen(known)
            lasted = known.longest_s()
            await connection.execute(f"REVOKE SELECT ON workspaces FROM {urlsplit(url).username}")
            with pytest.raises(DatabaseUnavailable):
                await known.review()
            assert known.longest_s() == lasted
            await connection.execute(f"GRANT SELECT ON workspaces TO {urlsplit(url).username}")
            assert await is_seen(known)


async def test_what_is_refused_during_a_review_is_kept(database_url: str, fake_daemon: FakeDaemon) -> None:
    async with connected(database_url) as connection:
        first, second = [UUID((await add_agent(connection)).id) for _ in range(2)]
        async with noticed(database_url, fake_daemon, first) as known:
            async with connection.transaction():
                await connection.execute("LOCK TABLE workspaces")
                review = asyncio.create_task(known.review())
                await asyncio.sleep(0.2)
                known.refused(second)
                await connection.execute("UPDATE workspaces SET status = 'offline' WHERE id = $1", first)
            await review
            assert known.longest_s() == 0
            assert await is_seen(known)


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


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("runtime", ["external", "mock"])
async def test_a_workspace_without_a_container_or_a_sweep_contradicts_nothing(
    runtime: str, database_url: str, fake_daemon: FakeDaemon
) -> None:
    async with connected(database_url) as connection:
        workspace = UUID((await add_agent(connection, runtime=runtime)).id)
    async with noticed(database_url, fake_daemon, workspace) as known:
        assert not await is_seen(known)
        assert fake_daemon.requests == []


async def test_an_external_workspace_whose_runtime_could_not_be_looked_up_alarms_nobody(
    start_api: StartApi, database_url: str
) -> None:
    async with (
        connected(database_url) as connection,
        blind_to_the_runtime(database_url) as blind,
        start_api(DATABASE_URL=blind) as api,
    ):
        agent = await add_agent(connection, runtime="external")
        answer = await api.call("POST", agent.plugins, INSTALL, token=agent.token)
        assert answer.json["code"] == "container_not_running"
        await connection.execute(f"GRANT SELECT ON workspaces TO {urlsplit(blind).username}")
        await asyncio.sleep(contradictions.REVIEW_EVERY_S + 2)
        assert await longest(api) == 0


async def test_a_workspace_of_another_host_contradicts_nothing(
    platform_database_url: str, fake_daemon: FakeDaemon
) -> None:
    async with connected(platform_database_url) as connection:
        await migrate(connection)
        workspace = UUID((await add_agent(connection)).id)
        async with noticed(platform_database_url, fake_daemon, workspace) as known:
            assert await is_seen(known)
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
        assert await is_seen(known)
        assert fake_daemon.requests == []


@pytest.mark.usefixtures("settled")
async def test_not_all_of_a_fleet_are_asked_about(database_url: str, fake_daemon: FakeDaemon) -> None:
    async with connected(database_url) as connection:
        workspaces = [UUID((await add_agent(connection)).id) for _ in range(contradictions.MOST + 1)]
    async with noticed(database_url, fake_daemon, *workspaces) as known:
        await known.review()
    assert {container_name(each) for each in workspaces[:-1]} <= set(fake_daemon.inspects)
    assert container_name(workspaces[-1]) not in fake_daemon.inspects
