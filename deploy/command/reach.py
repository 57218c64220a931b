"""How the command's verbs reach the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.database import Connection, Database, check_schema
from shared.settings import Settings


@asynccontextmanager
async def connected(settings: Settings, *, migrated: bool = True) -> AsyncIterator[Connection]:
    """A connection to the database, whose schema is this version's unless `migrated` is False."""
    async with database_of(settings) as database, database.connection() as connection:
        if migrated:
            await check_schema(connection)
        yield connection


def database_of(settings: Settings) -> Database:
    """The door to it, for a verb that stays."""
    return Database(settings.required_database_url(), application="healthsweep-command")
