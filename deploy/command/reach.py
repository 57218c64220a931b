"""How the command's verbs reach the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.database import Connection, Database
from shared.settings import Settings


@asynccontextmanager
async def connected(settings: Settings, *, any_schema: bool = False) -> AsyncIterator[Connection]:
    """A connection to the database, whose schema is this version's unless `any_schema` will do."""
    async with database_of(settings, any_schema=any_schema) as database, database.connection() as connection:
        yield connection


def database_of(settings: Settings, *, any_schema: bool = False) -> Database:
    """The door to it, for a verb that stays."""
    url = settings.required_database_url()
    return Database(url, application="healthsweep-command", any_schema=any_schema)
