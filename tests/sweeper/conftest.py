"""What the sweeper's tests share, beside the rig of all tests."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.engine import DockerEngine
from tests.support.podman import PodmanEngine
from tests.support.postgres import PostgresServer, connected
from tests.sweeper.scene import Scene, staged
from tests.sweeper.side_by_side import Ground, SideBySide, selected

_EMPTY = "DELETE FROM healthsweep.history; DELETE FROM healthsweep.presence; DELETE FROM public.workspaces"


@pytest.fixture(scope="session")
async def stage(postgres: PostgresServer, migrated_database: str) -> str:
    """The url of the one database of all scenes: to empty it takes a tenth of the time of a new one."""
    return await postgres.create_database(template=migrated_database)


@pytest.fixture
async def scene(stage: str, run_directory: Path) -> AsyncIterator[Scene]:
    """See tests.sweeper.scene; an empty database and a fake daemon."""
    async with connected(stage) as connection:
        await connection.execute(_EMPTY)
    with tempfile.TemporaryDirectory(dir=run_directory) as directory:
        async with staged(stage, Path(directory)) as scene:
            yield scene


@pytest.fixture(scope="session")
async def side_by_side(
    request: pytest.FixtureRequest,
    run_directory: Path,
    postgres: PostgresServer,
    migrated_database: str,
    podman_engine: PodmanEngine,
) -> AsyncIterator[SideBySide]:
    """See tests.sweeper.side_by_side."""
    directory = run_directory / "b"
    async with DockerEngine(directory / "d") as engine:
        ground = Ground(engine, podman_engine, postgres, migrated_database, directory)
        async with SideBySide(ground, selected(request.session.items)) as scenarios:
            yield scenarios
