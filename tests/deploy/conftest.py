"""A home for each test, and somebody at a terminal with a database."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from tests.deploy.operator import Operator
from tests.support.postgres import connected


@pytest.fixture
def home(processes: None, short_directory: Path) -> Path:
    """Not there yet, below a directory that is closed for everybody else."""
    closed = short_directory / "closed"
    closed.mkdir(mode=0o700)
    return closed / "home"


@pytest.fixture
def operator(processes: None, tmp_path: Path, database_url: str) -> Operator:
    return Operator(tmp_path, DATABASE_URL=database_url)


@pytest.fixture
async def rows(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the operator's database."""
    async with connected(database_url) as connection:
        yield connection
