"""A real engine that is gone, or that we may not speak to: never a *no*, and well again by itself."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from shared.engine import Engine
from shared.errors import EngineError
from shared.ids import container_name
from shared.running import container_state
from tests.shared.question import by_inspect, by_list
from tests.support.engine import DockerEngine, RealEngine
from tests.support.podman import PodmanEngine
from tests.support.processes import CHECKOUT


@pytest.fixture(scope="module", params=[DockerEngine, PodmanEngine], ids=["docker", "podman"])
async def victim(
    processes: None, request: pytest.FixtureRequest, run_directory: Path
) -> AsyncIterator[RealEngine]:
    """An engine that nobody else uses."""
    async with request.param(run_directory / f"victim-{request.param.__name__[:3]}") as engine:
        yield engine


@pytest.fixture(scope="module")
async def workspace(victim: RealEngine) -> UUID:
    """One whose container is definitely dead, whenever the engine can be asked."""
    workspace = uuid4()
    await victim.container(container_name(workspace), state="exited")
    return workspace


@pytest.fixture
async def engine(victim: RealEngine) -> AsyncIterator[Engine]:
    async with Engine(victim.host, timeout=10) as engine:
        yield engine


async def detail(engine: Engine, workspace: UUID) -> str:
    with pytest.raises(EngineError) as caught:
        await container_state(engine, workspace, short_name_is_unique=True)
    assert caught.value.reason == "unreachable"
    return caught.value.detail


async def is_definite(engine: Engine, workspace: UUID) -> bool:
    dead = ("not running", container_name(workspace), "exited")
    return await by_inspect(engine, workspace) == await by_list(engine, workspace) == dead


ASK = """
import asyncio, json, sys
from uuid import UUID
from shared.engine import Engine
from shared.errors import EngineError
from shared.running import container_state

async def ask():
    async with Engine(sys.argv[1], timeout=10) as engine:
        try:
            return str(await container_state(engine, UUID(sys.argv[2]), short_name_is_unique=True))
        except EngineError as unknown:
            return unknown.reason, unknown.detail

print(json.dumps(asyncio.run(ask())))
"""


async def test_without_permission(victim: RealEngine, engine: Engine, workspace: UUID) -> None:
    """Root is asked to, without the capability for which file permissions are none."""
    bounded = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", "--"]
    command = [*bounded, sys.executable, "-c", ASK, victim.host, str(workspace)]
    mode = victim.socket.stat().st_mode
    victim.socket.chmod(0)
    try:
        said = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    finally:
        victim.socket.chmod(mode)
    assert json.loads(said) == ["unreachable", "Permission denied"]
    assert await is_definite(engine, workspace)


async def test_killed_and_started_again(victim: RealEngine, engine: Engine, workspace: UUID) -> None:
    assert await is_definite(engine, workspace)
    await victim.kill()
    assert await by_list(engine, workspace) == ("unknown", "unreachable")
    assert await detail(engine, workspace) == "Connection refused"
    await victim.start()
    assert await is_definite(engine, workspace)


async def test_stopped_and_started_again(victim: RealEngine, engine: Engine, workspace: UUID) -> None:
    assert await is_definite(engine, workspace)
    await victim.stop()
    victim.socket.unlink(missing_ok=True)  # Podman's service leaves it
    assert await by_list(engine, workspace) == ("unknown", "unreachable")
    assert await detail(engine, workspace) == "No such file or directory"
    await victim.start()
    assert await is_definite(engine, workspace)


async def test_the_socket_file_removed(victim: RealEngine, workspace: UUID) -> None:
    elsewhere = victim.socket.with_name("elsewhere.sock")
    victim.socket.rename(elsewhere)
    try:
        async with Engine(victim.host, timeout=10) as engine:
            assert await by_list(engine, workspace) == ("unknown", "unreachable")
            assert await detail(engine, workspace) == "No such file or directory"
            elsewhere.rename(victim.socket)
            assert await is_definite(engine, workspace)
    finally:
        if elsewhere.exists():
            elsewhere.rename(victim.socket)
