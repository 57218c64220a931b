"""The same three answers where Docker is real: stopped, killed, absent, slow, and containers in real states.

And the state that all of this was made for: external workspaces, online by their heartbeats, whom an
install told for ever that their container is not running.
"""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.api.stage import Agent, Stage, staged
from tests.api.test_targets import (
    EXTERNAL,
    HARD,
    INSTALL_REFUSED,
    UNINSTALL_REFUSED,
    check_not_running,
    check_unknown,
)
from tests.support.engine import ContainerState, DockerEngine, RealEngine
from tests.support.processes import ServiceProcess

STATES: tuple[ContainerState, ...] = ("missing", "created", "exited", "paused", "restarting")


@asynccontextmanager
async def before(engine: RealEngine, url: str, directory: Path) -> AsyncIterator[Stage]:
    async with staged(url, directory, DOCKER_HOST=engine.host) as stage:
        yield stage


@pytest.mark.parametrize("state", STATES)
async def test_a_real_container_in_a_real_state(
    docker: DockerEngine, database_url: str, short_directory: Path, state: ContainerState
) -> None:
    async with before(docker, database_url, short_directory) as stage:
        agent = await stage.agent()
        await docker.container(agent.container, state=state)
        await check_not_running(stage, agent, state)


async def test_an_engine_that_is_stopped_killed_and_gone(
    private_docker: DockerEngine, database_url: str, short_directory: Path
) -> None:
    (short_directory / "stage").mkdir()
    async with before(private_docker, database_url, short_directory / "stage") as stage:
        agent, external = await stage.agent(), await stage.agent(runtime="external")
        await private_docker.container(agent.container)
        private_docker.pause()
        await check_unknown(stage, agent, "timeout")
        await check_refused(stage, external)
        private_docker.resume()
        await check_running(stage, agent)
        await private_docker.kill()
        await check_unknown(stage, agent, "unreachable")
        private_docker.socket.unlink()
        await check_unknown(stage, agent, "unreachable")
        await check_refused(stage, external)
        ready = await stage.api.call("GET", "/ready")
        assert (ready.status, ready.json["engine"]) == (200, "away (unreachable)")


async def test_one_sick_container_is_not_called_dead(
    docker: DockerEngine, database_url: str, short_directory: Path
) -> None:
    async with before(docker, database_url, short_directory) as stage:
        agent, well = await stage.agent(), await stage.agent()
        container = await docker.container(agent.container)
        await docker.container(well.container)
        async with docker.sick(container):
            await check_unknown(stage, agent, "timeout")
            await check_running(stage, well)


async def check_running(stage: Stage, agent: Agent) -> None:
    asked = await stage.ask("GET", agent.plugins, token=agent.token)
    assert (asked.status, asked.json) == (200, [])
    assert asked.answer.headers["X-Container-State"] == "running"
    asked = await stage.ask("DELETE", f"{agent.plugins}/p", token=agent.token)
    assert (asked.status, asked.json["code"]) == (404, "plugin_not_installed")
    assert asked.events == ["request.completed"]


async def check_refused(stage: Stage, agent: Agent) -> None:
    for (method, path, body), texts in zip(HARD, (INSTALL_REFUSED, UNINSTALL_REFUSED), strict=True):
        asked = await stage.ask(method, agent.plugins + path, body, token=agent.token)
        assert asked.status == 422
        for text in texts:
            assert text in asked.answer.body
        assert asked.events == ["request.completed"]


@pytest.mark.usefixtures("processes")
async def test_what_this_was_made_for(database_url: str, short_directory: Path) -> None:
    """Five external workspaces without containers: 422 each, and five sweeps later they are still online."""
    async with staged(database_url, short_directory) as stage:
        agents = [
            await stage.agent(runtime=EXTERNAL[number % len(EXTERNAL)], status="offline")
            for number in range(5)
        ]
        for agent in agents:
            beat = {"workspace_id": agent.id, "error_rate": 0.0}
            answer = await stage.api.call("POST", "/registry/heartbeat", beat, token=agent.token)
            assert (answer.status, answer.json) == (200, {"status": "ok"})
        assert await statuses(stage, agents) == ["online"] * 5
        environment = {
            "DATABASE_URL": database_url,
            "DOCKER_HOST": stage.daemon.host,
            "SWEEP_INTERVAL": "1",
        }
        async with ServiceProcess("sweeper", environment) as sweeper:
            for agent in agents:
                await check_refused(stage, agent)
            await sweeper.sweeps(5)
            assert len(sweeper.events("sweep.completed", checked=5, not_running=0, inspects=0)) >= 5
            for agent in agents:
                await check_refused(stage, agent)
            sweeper.send_signal(signal.SIGTERM)
            await sweeper.wait(timeout=15)
        assert await statuses(stage, agents) == ["online"] * 5
        assert stage.daemon.requests == []


async def statuses(stage: Stage, agents: list[Agent]) -> list[str]:
    rows = [
        (await stage.api.call("GET", f"/workspaces/{agent.id}/state", token=agent.token)).json["status"]
        for agent in agents
    ]
    return [str(status) for status in rows]
