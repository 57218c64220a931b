"""Every state that a container of a real dockerd can be in, and every way in which dockerd can be away."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from shared.engine import Engine
from shared.ids import container_name, short_container_name
from shared.running import NotRunning, Running, container_snapshot, container_state
from shared.settings import Settings
from tests.shared.question import by_inspect, by_list
from tests.support.engine import EXIT_CODE, ContainerState, DockerEngine

ENGINE_TIMEOUT = Settings.load({}).engine_timeout
SLACK = 1.0


@pytest.fixture
async def engine(docker: DockerEngine) -> AsyncIterator[Engine]:
    async with Engine(docker.host, timeout=ENGINE_TIMEOUT) as engine:
        yield engine


@pytest.fixture
def workspace() -> UUID:
    return uuid4()


@pytest.mark.parametrize("state", [state for state in DockerEngine.states if state != "running"])
async def test_not_running(
    state: ContainerState, docker: DockerEngine, engine: Engine, workspace: UUID
) -> None:
    name = container_name(workspace)
    await docker.container(name, state=state)
    assert await by_inspect(engine, workspace) == ("not running", name, state)
    listed = "removing" if state == "dead" else state  # dockerd lists a dead one so
    assert await by_list(engine, workspace) == ("not running", name, listed)


async def test_running(docker: DockerEngine, engine: Engine, workspace: UUID) -> None:
    container = await docker.container(container_name(workspace))
    answer = await container_state(engine, workspace, short_name_is_unique=True)
    started_at = (await container.inspect())["State"]["StartedAt"]
    assert answer == Running(container.name, container.id, started_at)
    assert await by_list(engine, workspace) == ("running", container.name, container.id)


@pytest.mark.parametrize("state", ["exited", "restarting"])
async def test_an_end_has_its_exit_code(
    state: ContainerState, docker: DockerEngine, engine: Engine, workspace: UUID
) -> None:
    await docker.container(container_name(workspace), state=state)
    answer = await container_state(engine, workspace, short_name_is_unique=True)
    assert isinstance(answer, NotRunning)
    assert answer.exit_code == EXIT_CODE
    assert answer.finished_at is not None
    assert answer.finished_at > "2020"


async def test_killed_is_137(docker: DockerEngine, engine: Engine, workspace: UUID) -> None:
    container = await docker.container(container_name(workspace))
    await container.kill()
    answer = await container_state(engine, workspace, short_name_is_unique=True)
    assert isinstance(answer, NotRunning)
    assert (answer.reason, answer.exit_code) == ("exited", 137)


@pytest.mark.parametrize("state", ["running", "paused", "exited"])
async def test_the_short_name_of_older_platforms(
    state: ContainerState, docker: DockerEngine, engine: Engine, workspace: UUID
) -> None:
    container = await docker.container(short_container_name(workspace), state=state)
    outcome = (
        ("running", container.name, container.id)
        if state == "running"
        else ("not running", container.name, state)
    )
    assert await by_inspect(engine, workspace) == outcome
    assert await by_list(engine, workspace) == outcome
    for look in (
        await container_state(engine, workspace, short_name_is_unique=False),
        (await container_snapshot(engine)).state(workspace, short_name_is_unique=False),
    ):
        assert look == NotRunning(container_name(workspace), "missing")


async def test_a_new_container_of_the_same_name_is_another_one(
    docker: DockerEngine, engine: Engine, workspace: UUID
) -> None:
    first = await docker.container(container_name(workspace))
    await first.remove()
    second = await docker.container(container_name(workspace))
    answer = await container_state(engine, workspace, short_name_is_unique=True)
    assert isinstance(answer, Running)
    assert answer.container_id == second.id != first.id


# One sick container, one sick engine


async def test_a_sick_container_is_unknown_and_blocks_no_other(
    docker: DockerEngine, engine: Engine, workspace: UUID
) -> None:
    sick = await docker.container(container_name(workspace))
    others = [uuid4() for _ in range(3)]
    states: tuple[ContainerState, ...] = ("running", "exited", "paused")
    for other, state in zip(others, states, strict=True):
        await docker.container(container_name(other), state=state)
    async with docker.sick(sick):
        began = time.monotonic()
        asking = asyncio.create_task(by_inspect(engine, workspace))
        outcomes = await asyncio.gather(*(by_inspect(engine, other) for other in others))
        listed = await by_list(engine, workspace)
        assert time.monotonic() - began < 2
        assert [outcome[0] for outcome in outcomes] == ["running", "not running", "not running"]
        assert listed == ("running", sick.name, sick.id)
        assert await asking == ("unknown", "timeout")
        assert time.monotonic() - began < ENGINE_TIMEOUT + SLACK


async def test_a_stopped_engine_is_a_timeout(docker: DockerEngine, engine: Engine, workspace: UUID) -> None:
    await docker.container(container_name(workspace), state="exited")
    docker.pause()
    try:
        began = time.monotonic()
        both = await asyncio.gather(by_inspect(engine, workspace), by_list(engine, workspace))
        assert time.monotonic() - began < ENGINE_TIMEOUT + SLACK
    finally:
        docker.resume()
    assert set(both) == {("unknown", "timeout")}
    assert await by_inspect(engine, workspace) == ("not running", container_name(workspace), "exited")
