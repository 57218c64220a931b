"""The PostgreSQL of a run of the tests, handed down to further runs that it starts.

A copy of the tree takes these two fixtures into its `tests/conftest.py`, in place of its own: starting a
server would take longer than the test that is wanted. The server is the one that HANDED_DOWN_POSTGRES
names, HANDED_DOWN_TEMPLATE a migrated database on it.
"""

import itertools
import os
from collections.abc import AsyncIterator

import pytest

from tests.support.postgres import PostgresServer

SERVER, TEMPLATE = "HANDED_DOWN_POSTGRES", "HANDED_DOWN_TEMPLATE"


class HandedDownServer(PostgresServer):
    """A server that runs already; what was made on it is dropped in the end."""

    def __init__(self, url: str) -> None:
        self._given = url
        self._names = itertools.count(os.getpid() * 1000)  # others make databases on it too
        self.made: list[str] = []

    @property
    def url(self) -> str:
        return self._given

    async def create_database(self, *, template: str | None = None) -> str:
        url = await super().create_database(template=template)
        self.made.append(url)
        return url


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[PostgresServer]:
    server = HandedDownServer(os.environ[SERVER])
    yield server
    for url in server.made:
        await server.drop_database(url)


@pytest.fixture(scope="session")
def migrated_database() -> str:
    return os.environ[TEMPLATE]
