"""A role that may not: it is told in one sentence which GRANT helps, and that one does."""

import re
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from shared.database import check_schema, migrate
from shared.errors import MigrationRefused
from tests.support.postgres import PostgresServer, connected

ROLE = "ws-operator"  # a name that needs its quotes

Act = Callable[[asyncpg.Connection], Awaitable[object]]


@pytest.fixture(scope="module")
async def role(postgres: PostgresServer) -> str:
    """A role that may log in and nothing else."""
    await postgres.execute(f'CREATE ROLE "{ROLE}" LOGIN')
    return ROLE


def as_role(url: str) -> str:
    return url.replace("//postgres@", f"//{ROLE}@")


async def refusal(url: str, act: Act) -> str | None:
    async with connected(as_role(url)) as connection:
        try:
            await act(connection)
        except MigrationRefused as exc:
            return str(exc)
    return None


async def helped(url: str, act: Act) -> list[str]:
    """What was granted, as the sentences told it, until `act` went through."""
    granted: list[str] = []
    async with connected(url) as owner:
        while sentence := await refusal(url, act):
            assert "\n" not in sentence
            assert f'the role "{ROLE}" may not do this' in sentence
            grant = re.search(r"run: (.+;)$", sentence)
            assert grant, sentence
            assert grant[1] not in granted, f"this did not help: {grant[1]}"
            granted.append(grant[1])
            await owner.execute(grant[1])
    return granted


async def test_an_empty_database(postgres: PostgresServer, role: str) -> None:
    url = await postgres.create_database()
    name = url.split("/")[3].split("?")[0]
    assert await helped(url, migrate) == [
        f'GRANT CREATE ON DATABASE "{name}" TO "{role}";',
        f'GRANT CREATE ON SCHEMA public TO "{role}";',
    ]
    assert await refusal(url, check_schema) is None


async def test_a_schema_that_somebody_has_made_already(postgres: PostgresServer, role: str) -> None:
    url = await postgres.create_database()
    async with connected(url) as owner:
        await owner.execute("CREATE SCHEMA healthsweep")
    await helped(url, migrate)
    assert await refusal(url, check_schema) is None


@pytest.mark.parametrize("act", [migrate, check_schema])
async def test_a_database_that_another_role_migrated(act: Act, database_url: str, role: str) -> None:
    assert len(await helped(database_url, act)) == 1


async def test_a_platform_database_needs_no_rights_on_the_platforms_tables(
    platform_database_url: str, role: str
) -> None:
    granted = await helped(platform_database_url, migrate)
    assert not [grant for grant in granted if "workspaces" in grant]


async def test_where_all_three_tables_exist_none_needs_to_be_made(
    postgres: PostgresServer, role: str
) -> None:
    url = await postgres.create_platform_database("text")
    (grant,) = await helped(url, migrate)
    assert grant.startswith("GRANT CREATE ON DATABASE")


async def test_a_refused_migration_leaves_nothing(postgres: PostgresServer, role: str) -> None:
    url = await postgres.create_database()
    assert await refusal(url, migrate)
    async with connected(url) as owner:
        assert await owner.fetchval("SELECT to_regnamespace('healthsweep') IS NULL")
