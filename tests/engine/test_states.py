"""Every state of a container that dockerd and Podman agree on, and an engine that answers no more.

What only one of them has: test_states_docker, test_states_podman.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from shared.engine import Engine
from shared.ids import container_name, short_container_name
from shared.running import NotRunning, Running, container_snapshot, container_state
from shared.settings import Settings
from tests.shared.question import by_inspect, by_list
from tests.support.engine import EXIT_CODE, ContainerState, RealEngine

ENGINE_TIMEOUT = Settings.load({}).engine_timeout
SLACK = 1.0


@pytest.fixture
async def engine(real_engine: RealEngine) -> AsyncIterator[Engine]:
    async with Engine(real_engine.host, timeout=ENGINE_TIMEOUT) as engine:
        yield engine


async def test_running(real_engine: RealEngine, engine: Engine, workspace: UUID) -> None:
    container = await real_engine.container(container_name(workspace))
    answer = await container_state(engine, workspace, short_name_is_unique=True)
    started_at = (await container.inspect())["State"]["StartedAt"]
    assert answer == Running(container.name, container.id, started_at)
    assert await by_list(engine, workspace) == ("running", container.name, container.id)


@pytest.mark.parametrize("state", ["created", "paused", "exited", "missing"])
async def test_not_running(
    state: ContainerState, real_engine: RealEngine, engine: Engine, workspace: UUID
) -> None:
    name = container_name(workspace)
    await real_engine.container(name, state=state)
    assert await by_inspect(engine, workspace) == ("not running", name, state)
    assert await by_list(engine, workspace) == ("not running", name, state)


async def test_an_end_has_its_exit_code(real_engine: RealEngine, engine: Engine, workspace: UUID) -> None:
    await real_engine.container(container_name(workspace), state="exited")
    answer = await container_state(engine, workspace, short_name_is_unique=True)
    assert isinstance(answer, NotRunning)
    assert answer.exit_code == EXIT_CODE
    assert answer.finished_at is not None
    assert answer.finished_at > "2020"


async def test_killed_is_137(real_engine: RealEngine, engine: Engine, workspace: UUID) -> None:
    container = await real_engine.container(container_name(workspace))
    await container.kill()
    await container.becomes("exited")
    answer = await container_state(engine, workspace, short_name_is_unique=True)
    assert isinstance(answer, NotRunning)
    assert (answer.reason, answer.exit_code) == ("exited", 137)


@pytest.mark.parametrize("state", ["running", "paused", "exited"])
async def test_the_short_name_of_older_platforms(
    state: ContainerState, real_engine: RealEngine, engine: Engine, workspace: UUID
) -> None:
    container = await real_engine.container(short_container_name(workspace), state=state)
    running = ("running", container.name, container.id)
    outcome = running if state == "running" else ("not running", container.name, state)
    assert await by_inspect(engine, workspace) == outcome
    assert await by_list(engine, workspace) == outcome
    for look in (
        await container_state(engine, workspace, short_name_is_unique=False),
        (await container_snapshot(engine)).state(workspace, short_name_is_unique=False),
    ):
        assert look == NotRunning(container_name(workspace), "missing")


async def test_a_new_container_of_the_same_name_is_another_one(
    real_engine: RealEngine, engine: Engine, workspace: UUID
) -> None:
    first = await real_engine.container(container_name(workspace))
    await first.remove()
    second = await real_engine.container(container_name(workspace))
    answer = await container_state(engine, workspace, short_name_is_unique=True)
    assert isinstance(answer, Running)
    assert answer.container_id == second.id != first.id


async def test_a_stopped_engine_is_a_timeout(
    real_engine: RealEngine, engine: Engine, workspace: UUID
) -> None:
    await real_engine.container(container_name(workspace), state="exited")
    real_engine.pause()
    try:
        began = time.monotonic()
        both = await asyncio.gather(by_inspect(engine, workspace), by_list(engine, workspace))
        assert time.monotonic() - began < ENGINE_TIMEOUT + SLACK
    finally:
        real_engine.resume()
    assert set(both) == {("unknown", "timeout")}
    assert await by_inspect(engine, workspace) == ("not running", container_name(workspace), "exited")
