"""Podman's own words, on its Docker-compatible socket."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from shared.engine import Engine
from shared.ids import container_name
from shared.running import NotRunning, container_state
from tests.engine.test_states import ENGINE_TIMEOUT
from tests.shared.question import by_inspect, by_list
from tests.support.podman import PodmanEngine

STUBBORN = ("/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done")


@pytest.fixture
async def engine(podman: PodmanEngine) -> AsyncIterator[Engine]:
    async with Engine(podman.host, timeout=ENGINE_TIMEOUT) as engine:
        yield engine


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
    await container.becomes("stopping")
    answer = await container_state(engine, workspace, short_name_is_unique=True)
    assert await by_list(engine, workspace) == ("not running", container.name, "exited")
    assert isinstance(answer, NotRunning)
    assert (answer.reason, answer.exit_code) == ("exited", None)
    await stop


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
