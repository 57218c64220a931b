"""The api's tests share one running api, or start their own.

api          the api as a process, on a migrated database and a fake daemon of its own; everybody's,
             so a test finds its own workspaces by their ids                     tests.support.api
api_daemon   that fake daemon                                                    tests.support.daemon
database     a connection to that database
start_api    `async with start_api(SETTING="...") as api`: one on `database_url` and `fake_daemon`

stage        a module's: an api before a fake daemon that is healthy and empty: stage.py
ground       a module's: an api before `docker`, with containers: ground.py
wire         what is between them, healthy and with nothing on record
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import asyncpg
import pytest

from tests.api.ground import Ground, playground
from tests.api.stage import Stage, staged
from tests.support.api import Api, running_api
from tests.support.daemon import FakeDaemon
from tests.support.engine import DockerEngine
from tests.support.postgres import PostgresServer, connected
from tests.support.proxy import RecordingProxy

StartApi = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture(scope="session")
async def api_daemon(run_directory: Path) -> AsyncIterator[FakeDaemon]:
    async with FakeDaemon(run_directory / "api.sock") as daemon:
        yield daemon


@pytest.fixture(scope="session")
async def api(
    processes: None,
    run_directory: Path,
    postgres: PostgresServer,
    migrated_database: str,
    api_daemon: FakeDaemon,
) -> AsyncIterator[Api]:
    url = await postgres.create_database(template=migrated_database)
    environment = {"DATABASE_URL": url, "DOCKER_HOST": api_daemon.host}
    async with running_api(environment, run_directory / "api") as api:
        yield api
    await postgres.drop_database(url)


@pytest.fixture
async def database(api: Api) -> AsyncIterator[asyncpg.Connection]:
    async with connected(api.environment["DATABASE_URL"]) as connection:
        yield connection


@pytest.fixture
def start_api(processes: None, database_url: str, fake_daemon: FakeDaemon, short_directory: Path) -> StartApi:
    def start(**environment: str) -> AbstractAsyncContextManager[Api]:
        own = {"DATABASE_URL": database_url, "DOCKER_HOST": fake_daemon.host}
        return running_api({**own, **environment}, short_directory / "api")

    return start


@pytest.fixture(scope="module")
def stage_settings() -> Mapping[str, str]:
    """What the stage's api is told; for a module that wants something else."""
    return {}


@pytest.fixture(scope="module")
async def module_stage(
    processes: None, module_database_url: str, module_directory: Path, stage_settings: Mapping[str, str]
) -> AsyncIterator[Stage]:
    async with staged(module_database_url, module_directory, **stage_settings) as stage:
        yield stage
        assert list((stage.api.home / "staging").iterdir()) == []


@pytest.fixture
async def stage(module_stage: Stage) -> Stage:
    await module_stage.daemon.heal()
    module_stage.daemon.containers.clear()
    module_stage.daemon.reset()
    return module_stage


@pytest.fixture(scope="module")
async def module_wire(docker_engine: DockerEngine, module_directory: Path) -> AsyncIterator[RecordingProxy]:
    async with RecordingProxy(docker_engine.socket, module_directory / "wire.sock") as proxy:
        yield proxy


@pytest.fixture
async def wire(module_wire: RecordingProxy) -> AsyncIterator[RecordingProxy]:
    module_wire.reset()
    yield module_wire
    await module_wire.heal()


@pytest.fixture(scope="module")
async def module_ground(
    module_database_url: str,
    docker_engine: DockerEngine,
    module_wire: RecordingProxy,
    module_directory: Path,
) -> AsyncIterator[Ground]:
    host = module_wire.host
    async with playground(module_database_url, docker_engine, module_directory, DOCKER_HOST=host) as ground:
        yield ground


@pytest.fixture
def ground(module_ground: Ground) -> Ground:
    return module_ground
