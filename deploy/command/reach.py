"""How the command's verbs find the product that runs, and reach its database."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from deploy.home import read_environment
from shared.database import Connection, Database
from shared.settings import Settings, is_set


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """`own`, and what the running product on this HEALTHSWEEP_HOME says where `own` is silent."""
    home = Settings.load({"HEALTHSWEEP_HOME": own.get("HEALTHSWEEP_HOME", "")}).healthsweep_home
    known = {name: value for name, value in read_environment(home).items() if not is_set(own, name)}
    return {**own, **known}


@asynccontextmanager
async def connected(settings: Settings, *, any_schema: bool = False) -> AsyncIterator[Connection]:
    """A connection to the database, whose schema is this version's unless `any_schema` will do."""
    async with database_of(settings, any_schema=any_schema) as database, database.connection() as connection:
        yield connection


def database_of(settings: Settings, *, any_schema: bool = False) -> Database:
    """The door to it, for a verb that stays."""
    url = settings.required_database_url()
    return Database(url, application="healthsweep-command", any_schema=any_schema)
