"""What several of these tests need."""

import gc
import logging
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import structlog

from shared.database import Database
from shared.engine import Engine
from tests.shared.pools import opened
from tests.support.daemon import FakeDaemon
from tests.support.postgres import connected


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Logging is the whole process's: what a test configures is undone after it."""
    gc.collect()  # what the garbage of other tests has to say
    root, hook = logging.getLogger(), sys.excepthook
    handlers, level = root.handlers[:], root.level
    with warnings.catch_warnings():
        yield
    logging.captureWarnings(capture=False)
    root.handlers[:], sys.excepthook = handlers, hook
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
async def fake_daemon(run_directory: Path) -> AsyncIterator[FakeDaemon]:
    """The rig's, hundreds of times: without a search for processes that were left behind after each."""
    async with FakeDaemon(run_directory / "fake.sock") as daemon:
        yield daemon


@pytest.fixture
async def engine(fake_daemon: FakeDaemon) -> AsyncIterator[Engine]:
    """The real engine before the fake daemon, patient enough for a busy machine."""
    async with Engine(fake_daemon.host, timeout=10) as engine:
        yield engine


@pytest.fixture
async def hasty_engine(fake_daemon: FakeDaemon) -> AsyncIterator[Engine]:
    """One for answers that never come."""
    async with Engine(fake_daemon.host, timeout=0.4) as engine:
        yield engine


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool on a fresh, migrated database."""
    async with opened(database_url) as database:
        yield database


@pytest.fixture
async def rows(module_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to it."""
    async with connected(module_database_url) as connection:
        yield connection
