"""What only dockerd has: three more states, and one container that is sick while the engine is well."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from shared.engine import Engine
from shared.ids import container_name
from shared.running import NotRunning, container_state
from tests.engine.test_states import ENGINE_TIMEOUT, SLACK
from tests.shared.question import by_inspect, by_list
from tests.support.engine import EXIT_CODE, ContainerState, DockerEngine


@pytest.fixture
async def engine(docker: DockerEngine) -> AsyncIterator[Engine]:
    async with Engine(docker.host, timeout=ENGINE_TIMEOUT) as engine:
        yield engine


@pytest.mark.parametrize("state", ["restarting", "removing", "dead"])
async def test_not_running(
    state: ContainerState, docker: DockerEngine, engine: Engine, workspace: UUID
) -> None:
    name = container_name(workspace)
    await docker.container(name, state=state)
    assert await by_inspect(engine, workspace) == ("not running", name, state)
    listed = "removing" if state == "dead" else state  # dockerd lists a dead one so
    assert await by_list(engine, workspace) == ("not running", name, listed)


async def test_between_two_restarts_the_last_end_has_its_exit_code(
    docker: DockerEngine, engine: Engine, workspace: UUID
) -> None:
    await docker.container(container_name(workspace), state="restarting")
    answer = await container_state(engine, workspace, short_name_is_unique=True)
    assert isinstance(answer, NotRunning)
    assert answer.exit_code == EXIT_CODE
    assert answer.finished_at is not None
    assert answer.finished_at > "2020"


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
        assert not asking.done()
        assert [outcome[0] for outcome in outcomes] == ["running", "not running", "not running"]
        assert listed == ("running", sick.name, sick.id)
        assert await asking == ("unknown", "timeout")
        assert time.monotonic() - began < ENGINE_TIMEOUT + SLACK
