"""A pool on a real PostgreSQL, and what may be expected of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shared.database import Database
from shared.errors import DatabaseUnavailable


@asynccontextmanager
async def opened(url: str, *, connections: int = 4) -> AsyncIterator[Database]:
    """The pool that a process of ours would have, whatever is in the database."""
    async with Database(
        url, application="healthsweep-test", connections=connections, any_schema=True
    ) as database:
        yield database


async def unavailable(database: Database, statement: str = "SELECT 1") -> str:
    """What DatabaseUnavailable says, which `statement` must end in."""
    with pytest.raises(DatabaseUnavailable) as caught:
        async with database.connection() as connection:
            await connection.execute(statement)
    return str(caught.value)


async def works(database: Database) -> bool:
    """Whether it can be asked."""
    async with database.connection() as connection:
        return bool(await connection.fetchval("SELECT 1") == 1)
