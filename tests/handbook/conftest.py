"""Stages on the engine and the server that everybody shares, and a ground that may be harmed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.situations.scene import Ground, Scene, own_ground
from tests.support.engine import DockerEngine
from tests.support.postgres import PostgresServer


@pytest.fixture
async def scene(
    docker: DockerEngine, postgres: PostgresServer, short_directory: Path
) -> AsyncIterator[Scene]:
    async with Scene(Ground(docker, postgres, short_directory), {}) as scene:
        yield scene


@pytest.fixture(scope="module")
async def ground(processes: None) -> AsyncIterator[Ground]:
    async with own_ground() as ground:
        yield ground
