"""The database's part in finding a container: the guard that fails open, and the short names."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest

from tests.api.stage import Agent, Stage, add_agent, ask, staged
from tests.support.daemon import State
from tests.support.engine import DockerEngine
from tests.support.postgres import PostgresServer, connected
from tests.support.roles import blind_to_the_runtime, role

pytestmark = pytest.mark.usefixtures("processes")

HINT = (
    "the workspace's runtime could not be looked up; if it is external, it has no container here "
    "and pulls plugins via GET /workspaces/:id/plugins/:name/download"
)
UNAVAILABLE = {
    "error": "platform datastore unavailable — retry shortly",
    "code": "platform_unavailable",
}


async def test_the_guard_fails_open_and_says_so(
    postgres: PostgresServer, database_url: str, short_directory: Path
) -> None:
    async with (
        blind_to_the_runtime(database_url) as blind,
        staged(database_url, short_directory, DATABASE_URL=blind) as stage,
    ):
        external = await stage.agent(runtime="external")
        for method, path, body in (("POST", "", {"source": "p"}), ("DELETE", "/p", None)):
            await stage.daemon.heal()
            asked = await stage.ask(method, external.plugins + path, body, token=external.token)
            assert (asked.status, asked.json["code"]) == (503, "container_not_running")
            assert asked.json["hint"] == HINT
            assert asked.events == ["runtime.lookup_failed", "container.not_running", "request.completed"]
            assert asked.lines[0]["level"] == "warning"
            assert asked.lines[0]["workspace_id"] == external.id
            await stage.daemon.fault("502")
            asked = await stage.ask(method, external.plugins + path, body, token=external.token)
            assert (asked.status, asked.json["code"]) == (503, "container_engine_unavailable")
            assert asked.json["hint"] == HINT
            assert asked.events == [
                "runtime.lookup_failed",
                "container.check_transient",
                "request.completed",
            ]


async def test_the_guard_fails_open_and_authentication_does_not(
    postgres: PostgresServer, database_url: str, short_directory: Path
) -> None:
    async with (
        role(database_url) as other,
        staged(database_url, short_directory, DATABASE_URL=other) as stage,
    ):
        agent = await stage.agent()
        await stage.connection.execute(
            f"REVOKE SELECT ON public.workspace_auth_tokens FROM {urlsplit(other).username}"
        )
        asked = await stage.ask("GET", agent.plugins, token=agent.token)
        assert (asked.status, asked.error()) == (503, UNAVAILABLE)
        assert stage.daemon.requests == []


async def test_an_install_goes_through_although_the_runtime_is_not_known(
    docker: DockerEngine, postgres: PostgresServer, database_url: str, short_directory: Path
) -> None:
    async with (
        blind_to_the_runtime(database_url) as blind,
        staged(database_url, short_directory, DATABASE_URL=blind, DOCKER_HOST=docker.host) as stage,
    ):
        agent = await stage.agent()
        await docker.container(agent.container)
        plugin = short_directory / "api" / "home" / "plugins" / "hello"
        plugin.mkdir()
        (plugin / "plugin.yaml").write_text("version: 1.0.0\nruntimes: [langgraph]\n")
        order = {"source": "hello", "restart": False}
        asked = await stage.ask("POST", agent.plugins, order, token=agent.token)
        assert (asked.status, asked.json["status"]) == (200, "installed")
        assert asked.events == ["runtime.lookup_failed", "plugin.installed", "request.completed"]
        listed = await stage.ask("GET", agent.plugins, token=agent.token)
        assert listed.answer.headers["X-Container-State"] == "running"
        assert [plugin["name"] for plugin in listed.json] == ["hello"]
        assert "supported_on_runtime" not in listed.json[0]
        asked = await stage.ask("DELETE", f"{agent.plugins}/hello?restart=false", token=agent.token)
        assert asked.json == {"status": "uninstalled", "plugin": "hello", "restarting": False}


class TestShortNames:
    """Of containers that older platform versions made: the first 12 characters of the id."""

    async def test_it_is_asked_for_after_the_full_one(self, database_url: str, short_directory: Path) -> None:
        async with staged(database_url, short_directory) as stage:
            agent = await stage.agent()
            stage.daemon.containers[agent.short_container] = State("exited")
            asked = await stage.ask("DELETE", f"{agent.plugins}/p", token=agent.token)
            assert asked.json["state"] == "exited"
            assert asked.lines[0]["container_name"] == agent.short_container
            assert stage.daemon.inspects == [agent.container, agent.short_container]

    @pytest.mark.parametrize("status", ["online", "removed"])
    async def test_it_is_nobodys_where_two_could_have_it(
        self, database_url: str, short_directory: Path, status: str
    ) -> None:
        async with staged(database_url, short_directory) as stage:
            agent, _ = await sharing(stage, status)
            stage.daemon.containers[agent.short_container] = State("paused")
            asked = await stage.ask("DELETE", f"{agent.plugins}/p", token=agent.token)
            assert asked.json["state"] == "missing"
            assert stage.daemon.inspects == [agent.container]

    async def test_where_that_cannot_be_counted_nothing_is_said_of_the_container(
        self, postgres: PostgresServer, database_url: str, short_directory: Path
    ) -> None:
        async with (
            role(database_url) as other,
            staged(database_url, short_directory, DATABASE_URL=other) as stage,
        ):
            agent, _ = await sharing(stage, "online")
            await stage.connection.execute(UNCOUNTABLE)
            for method, path, body in (
                ("POST", "", {"source": "p"}),
                ("DELETE", "/p", None),
                ("GET", "", None),
                ("GET", "/compatibility?runtime=x", None),
            ):
                asked = await stage.ask(method, agent.plugins + path, body, token=agent.token)
                assert (asked.status, asked.error()) == (503, UNAVAILABLE)
                assert asked.answer.headers["Retry-After"] == "5"
                assert asked.events == ["request.completed"]
            assert stage.daemon.requests == []


async def sharing(stage: Stage, status: str) -> tuple[Agent, Agent]:
    """Two agents whose ids share 12 characters; the second has this status."""
    one = str(uuid4())
    other = UUID(one[:12] + str(uuid4())[12:])
    agent = await stage.agent(workspace_id=UUID(one))
    return agent, await stage.agent(workspace_id=other, status=status)


# Whoever counts workspaces is told that the server has no memory left; all else is answered.
UNCOUNTABLE = """
CREATE FUNCTION public.not_counting() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF current_query() LIKE '%count(*)%' THEN
        RAISE EXCEPTION 'out of memory' USING ERRCODE = 'out_of_memory';
    END IF;
    RETURN true;
END $$;
ALTER TABLE public.workspaces ENABLE ROW LEVEL SECURITY;
CREATE POLICY counting ON public.workspaces USING (public.not_counting());
"""


async def test_a_database_that_is_away_is_neither_a_401_nor_a_way_in(
    private_postgres: PostgresServer, short_directory: Path
) -> None:
    url = await private_postgres.create_migrated_database()
    (short_directory / "stage").mkdir()
    async with staged(url, short_directory / "stage", EXTERNAL_RUNTIMES="external") as stage:
        agent = await stage.agent(runtime="external")
        await private_postgres.stop()
        for token in (agent.token, "wrong", stage.api.admin_token):
            for method, path in (("POST", ""), ("DELETE", "/p"), ("GET", ""), ("GET", "/p/download")):
                asked = await ask(stage.api, method, agent.plugins + path, token=token)
                assert (asked.status, asked.error()) == (503, UNAVAILABLE)
                assert asked.answer.headers["Retry-After"] == "5"
        assert (await ask(stage.api, "GET", agent.plugins)).status == 401
        assert stage.daemon.requests == []
        await private_postgres.start()
        async with asyncio.timeout(20), connected(url) as connection:
            other = await add_agent(connection)
            while (await ask(stage.api, "GET", other.plugins, token=other.token)).status != 200:
                await asyncio.sleep(0.1)
