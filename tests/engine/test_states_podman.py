"""The same question to a real Podman, on its Docker-compatible socket and with words of its own."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from shared.engine import Engine
from shared.ids import container_name, short_container_name
from shared.running import NotRunning, Running, container_state
from shared.settings import Settings
from tests.shared.question import by_inspect, by_list
from tests.support.engine import EXIT_CODE, Container, ContainerState, PodmanEngine

ENGINE_TIMEOUT = Settings.load({}).engine_timeout
SLACK = 1.0
STUBBORN = ("/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done")


@pytest.fixture
async def engine(podman: PodmanEngine) -> AsyncIterator[Engine]:
    async with Engine(podman.host, timeout=ENGINE_TIMEOUT) as engine:
        yield engine


@pytest.fixture
def workspace() -> UUID:
    return uuid4()


async def test_running(podman: PodmanEngine, engine: Engine, workspace: UUID) -> None:
    container = await podman.container(container_name(workspace))
    answer = await container_state(engine, workspace, short_name_is_unique=True)
    started_at = (await container.inspect())["State"]["StartedAt"]
    assert answer == Running(container.name, container.id, started_at)
    assert await by_list(engine, workspace) == ("running", container.name, container.id)


@pytest.mark.parametrize("state", ["created", "paused", "exited", "missing"])
async def test_not_running(
    state: ContainerState, podman: PodmanEngine, engine: Engine, workspace: UUID
) -> None:
    name = container_name(workspace)
    await podman.container(name, state=state)
    outcome = ("not running", name, state)
    assert await by_inspect(engine, workspace) == outcome
    assert await by_list(engine, workspace) == outcome


async def test_initialized_is_created(podman: PodmanEngine, engine: Engine, workspace: UUID) -> None:
    container = await podman.container(container_name(workspace), state="created")
    await podman.request("POST", f"/v4.0.0/libpod/containers/{container.id}/init")
    outcome = ("not running", container.name, "created")
    assert await by_inspect(engine, workspace) == outcome
    assert await by_list(engine, workspace) == outcome


async def test_stopping_is_exited_without_an_exit_code(
    podman: PodmanEngine, engine: Engine, workspace: UUID
) -> None:
    container = await podman.container(container_name(workspace), command=STUBBORN)
    await asyncio.sleep(0.3)  # until it is deaf
    stop = asyncio.create_task(podman.request("POST", f"/containers/{container.id}/stop?t=2"))
    await until(container, "stopping")
    answer = await container_state(engine, workspace, short_name_is_unique=True)
    assert await by_list(engine, workspace) == ("not running", container.name, "exited")
    assert isinstance(answer, NotRunning)
    assert (answer.reason, answer.exit_code) == ("exited", None)
    await stop


async def until(container: Container, word: str) -> None:
    async with asyncio.timeout(5):
        while await container.status() != word:
            await asyncio.sleep(0.02)


async def test_a_crash_loop_is_exited_or_running_from_one_moment_to_the_next(
    podman: PodmanEngine, engine: Engine, workspace: UUID
) -> None:
    container = await podman.container(container_name(workspace), state="restarting")
    for _ in range(20):
        outcomes = {await by_inspect(engine, workspace), await by_list(engine, workspace)}
        assert outcomes <= {
            ("not running", container.name, "exited"),
            ("running", container.name, container.id),
        }


async def test_an_end_has_its_exit_code(podman: PodmanEngine, engine: Engine, workspace: UUID) -> None:
    await podman.container(container_name(workspace), state="exited")
    answer = await container_state(engine, workspace, short_name_is_unique=True)
    assert isinstance(answer, NotRunning)
    assert answer.exit_code == EXIT_CODE
    assert answer.finished_at is not None
    assert answer.finished_at > "2020"


async def test_killed_is_137(podman: PodmanEngine, engine: Engine, workspace: UUID) -> None:
    container = await podman.container(container_name(workspace))
    await container.kill()
    await until(container, "exited")
    answer = await container_state(engine, workspace, short_name_is_unique=True)
    assert isinstance(answer, NotRunning)
    assert (answer.reason, answer.exit_code) == ("exited", 137)


@pytest.mark.parametrize("state", ["running", "paused"])
async def test_the_short_name_of_older_platforms(
    state: ContainerState, podman: PodmanEngine, engine: Engine, workspace: UUID
) -> None:
    container = await podman.container(short_container_name(workspace), state=state)
    running = ("running", container.name, container.id)
    outcome = running if state == "running" else ("not running", container.name, state)
    assert await by_inspect(engine, workspace) == outcome
    assert await by_list(engine, workspace) == outcome


async def test_a_stopped_engine_is_a_timeout(podman: PodmanEngine, engine: Engine, workspace: UUID) -> None:
    await podman.container(container_name(workspace), state="exited")
    podman.pause()
    try:
        began = time.monotonic()
        both = await asyncio.gather(by_inspect(engine, workspace), by_list(engine, workspace))
        assert time.monotonic() - began < ENGINE_TIMEOUT + SLACK
    finally:
        podman.resume()
    assert set(both) == {("unknown", "timeout")}
    assert await by_inspect(engine, workspace) == ("not running", container_name(workspace), "exited")
