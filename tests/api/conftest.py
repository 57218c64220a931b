"""The api's tests share one running api, or start their own.

api          the api as a process, on a migrated database and a fake daemon of its own; everybody's,
             so a test finds its own workspaces by their ids                     tests.support.api
api_daemon   that fake daemon                                                    tests.support.daemon
database     a connection to that database
start_api    `async with start_api(SETTING="...") as api`: one on `database_url` and `fake_daemon`
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import asyncpg
import pytest

from tests.support.api import Api, running_api
from tests.support.daemon import FakeDaemon
from tests.support.postgres import PostgresServer, connected

StartApi = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture(scope="session")
async def api_daemon(run_directory: Path) -> AsyncIterator[FakeDaemon]:
    async with FakeDaemon(run_directory / "api.sock") as daemon:
        yield daemon


@pytest.fixture(scope="session")
async def api(
    run_directory: Path, postgres: PostgresServer, migrated_database: str, api_daemon: FakeDaemon
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
def start_api(database_url: str, fake_daemon: FakeDaemon, short_directory: Path) -> StartApi:
    def start(*, ready: bool = True, **environment: str) -> AbstractAsyncContextManager[Api]:
        own = {"DATABASE_URL": database_url, "DOCKER_HOST": fake_daemon.host}
        return running_api({**own, **environment}, short_directory / "api", ready=ready)

    return start
