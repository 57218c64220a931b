"""The real engines: every state of a container, and what may be done to them."""

from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from tests.support.engine import EXIT_CODE, Container, ContainerState, DockerEngine, RealEngine
from tests.support.podman import PodmanEngine
from tests.support.remains import belonging


async def state_in_list(engine: RealEngine, container: Container) -> str | None:
    _, entries = await engine.request("GET", "/containers/json?all=true")
    return next((entry["State"] for entry in entries if entry["Id"] == container.id), None)


@pytest.mark.parametrize("state", DockerEngine.states)
async def test_dockerd_in_every_state(docker: DockerEngine, state: ContainerState) -> None:
    container = await docker.container(f"ws-{uuid4()}", state=state)
    assert (await container.status(), await state_in_list(docker, container)) == (
        state,
        {"dead": "removing", "missing": None}.get(state, state),
    )


@pytest.mark.parametrize("state", PodmanEngine.states)
async def test_podman_in_every_state(podman: PodmanEngine, state: ContainerState) -> None:
    container = await podman.container(f"ws-{uuid4()}", state=state)
    if state == "restarting":
        seen = {await container.status() for _ in range(100)}
        assert "stopped" in seen
        assert seen <= {"stopped", "running", "initialized", "exited"}
    else:
        assert await container.status() == state
        assert await state_in_list(podman, container) == (None if state == "missing" else state)


async def test_a_container_comes_and_goes(real_engine: RealEngine) -> None:
    container = await real_engine.container(f"ws-{uuid4()}")
    await container.kill()
    await container.becomes("exited")
    assert (await container.inspect())["State"]["ExitCode"] == 137
    await container.start()
    await container.pause()
    await container.unpause()
    await container.stop()
    await container.becomes("exited")
    assert (await container.inspect())["State"]["ExitCode"] == 0
    await container.remove()
    await container.remove()
    assert await container.status() == "missing"


async def test_an_exit_code_is_known(docker: DockerEngine) -> None:
    container = await docker.container(f"ws-{uuid4()}", state="exited")
    assert (await container.inspect())["State"]["ExitCode"] == EXIT_CODE


async def test_one_sick_container(docker: DockerEngine) -> None:
    ill, well = await docker.container("ws-ill"), await docker.container("ws-well")
    async with docker.sick(ill):
        assert await well.status() == "running"
        assert await state_in_list(docker, ill) == "running"
        with pytest.raises(TimeoutError):
            await docker.request("GET", f"/containers/{ill.id}/json", timeout=0.5)
    assert await ill.status() == "running"


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(("live_restore", "after"), [(False, "exited"), (True, "running")])
async def test_a_killed_dockerd_comes_back(short_directory: Path, live_restore: bool, after: str) -> None:
    async with DockerEngine(short_directory / "docker", live_restore=live_restore) as engine:
        container = await engine.container("ws-a")
        await engine.kill()
        assert engine.socket.exists()
        with pytest.raises(aiohttp.ClientConnectorError):
            await engine.request("GET", "/version")
        await engine.start()
        assert await container.status() == after
    assert not belonging(short_directory)
