"""Migrations: applied once, all or nothing, and never over the tables of a platform server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from shared.database import check_schema, migrate, migrations
from shared.errors import MigrationRefused, SchemaNewer, SchemaOlder
from tests.support.postgres import PostgresServer, connected

ALL = [migration.name for migration in migrations()]
Act = Callable[[asyncpg.Connection], Awaitable[object]]
SHARED = ("workspaces", "workspace_auth_tokens", "org_plugin_allowlist")


@pytest.fixture
async def empty_url(postgres: PostgresServer) -> AsyncIterator[str]:
    """A database with nothing in it."""
    url = await postgres.create_database()
    yield url
    await postgres.drop_database(url)


@pytest.fixture
async def empty(empty_url: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(empty_url) as connection:
        yield connection


@pytest.fixture
async def migrated(rows: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    """A migrated one; what is done to it is undone."""
    transaction = rows.transaction()
    await transaction.start()
    yield rows
    await transaction.rollback()


async def tables(connection: asyncpg.Connection, schema: str) -> set[str]:
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", schema)
    return {row["tablename"] for row in rows}


async def test_they_are_numbered_without_gaps() -> None:
    assert [int(name.split("_")[0]) for name in ALL] == list(range(1, len(ALL) + 1))


async def test_an_empty_database_gets_all_of_them_and_the_second_time_none(empty: asyncpg.Connection) -> None:
    assert list(await migrate(empty)) == ALL
    await check_schema(empty)
    assert await migrate(empty) == {}
    await check_schema(empty)


async def test_our_own_tables_are_in_our_own_schema(migrated: asyncpg.Connection) -> None:
    assert await tables(migrated, "public") == set(SHARED)
    assert await tables(migrated, "healthsweep") >= {"migrations", "history", "presence"}


async def test_the_heartbeat_timestamp_has_no_index(migrated: asyncpg.Connection) -> None:
    indexes = await migrated.fetch("SELECT indexdef FROM pg_indexes WHERE tablename = 'workspaces'")
    assert indexes
    assert not [row for row in indexes if "last_heartbeat_at" in row["indexdef"]]


async def test_two_migrators_at_once_apply_each_of_them_once(empty_url: str) -> None:
    async def migrator() -> list[str]:
        async with connected(empty_url) as connection:
            return list(await migrate(connection))

    async with connected(empty_url) as first, first.transaction():
        await first.execute("SELECT pg_advisory_xact_lock(hashtext('healthsweep.migrations'))")
        both = [asyncio.create_task(migrator()) for _ in range(2)]
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while await first.fetchval(waiting) < 2:
            await asyncio.sleep(0.01)
    assert sorted([await task for task in both]) == [[], ALL]


async def test_one_that_fails_leaves_nothing_of_those_before_it(empty: asyncpg.Connection) -> None:
    await empty.execute("CREATE SCHEMA healthsweep; CREATE TABLE healthsweep.history (x int)")
    with pytest.raises(asyncpg.DuplicateTableError):
        await migrate(empty)
    assert await tables(empty, "public") == set()
    assert await tables(empty, "healthsweep") == {"history"}


# A schema that is not this code's


async def test_one_that_was_never_migrated_is_older(empty: asyncpg.Connection) -> None:
    with pytest.raises(SchemaOlder, match="run `healthsweep migrate`"):
        await check_schema(empty)


async def test_one_that_lacks_the_last_is_older_and_says_what_it_lacks(migrated: asyncpg.Connection) -> None:
    await migrated.execute("DELETE FROM healthsweep.migrations WHERE name = $1", ALL[-1])
    with pytest.raises(SchemaOlder, match=f"lacks {ALL[-1]}: run `healthsweep migrate`"):
        await check_schema(migrated)


@pytest.mark.parametrize("act", [check_schema, migrate])
async def test_a_migration_that_we_do_not_know_is_newer(act: Act, migrated: asyncpg.Connection) -> None:
    await migrated.execute("INSERT INTO healthsweep.migrations VALUES ('9999_of_tomorrow', 'x')")
    with pytest.raises(SchemaNewer, match="9999_of_tomorrow, which this version does not know: upgrade"):
        await act(migrated)


@pytest.mark.parametrize("act", [check_schema, migrate])
@pytest.mark.parametrize("name", ALL)
async def test_a_file_that_changed_after_it_was_applied_is_refused(
    name: str, act: Act, migrated: asyncpg.Connection
) -> None:
    await migrated.execute("UPDATE healthsweep.migrations SET checksum = 'x' WHERE name = $1", name)
    with pytest.raises(MigrationRefused, match=f"{name} is not the file that was applied"):
        await act(migrated)


async def test_a_checksum_is_of_the_whole_file(migrated: asyncpg.Connection) -> None:
    rows = await migrated.fetch("SELECT name, checksum FROM healthsweep.migrations")
    assert {row["name"]: row["checksum"] for row in rows} == {
        migration.name: migration.checksum for migration in migrations()
    }
    assert len({migration.checksum for migration in migrations()}) == len(ALL)


async def test_a_read_only_database_is_refused_with_what_to_do(empty: asyncpg.Connection) -> None:
    await empty.execute("SET default_transaction_read_only = on")
    with pytest.raises(MigrationRefused, match="read-only: connect to the primary"):
        await migrate(empty)


# A platform server's database

CATALOG = """
SELECT 'class' AS part, c.oid, c.xmin::text, c::text AS row FROM pg_class AS c
    WHERE relnamespace = 'public'::regnamespace AND relname = ANY ($1) OR oid IN (
        SELECT indexrelid FROM pg_index WHERE indrelid = ANY ($2::oid[]))
UNION ALL SELECT 'attribute', 0, a.xmin::text, a::text FROM pg_attribute AS a WHERE attrelid = ANY ($2)
UNION ALL SELECT 'default', d.oid, d.xmin::text, d::text FROM pg_attrdef AS d WHERE adrelid = ANY ($2)
UNION ALL SELECT 'constraint', c.oid, c.xmin::text, c::text FROM pg_constraint AS c
    WHERE conrelid = ANY ($2) OR confrelid = ANY ($2)
UNION ALL SELECT 'trigger', t.oid, t.xmin::text, t::text FROM pg_trigger AS t WHERE tgrelid = ANY ($2)
UNION ALL SELECT 'type', e.oid, e.xmin::text, e::text FROM pg_enum AS e
ORDER BY 1, 2, 4
"""


async def catalog(connection: asyncpg.Connection, names: set[str]) -> list[tuple[object, ...]]:
    """Every row of PostgreSQL's catalog that makes these tables, with who wrote the row."""
    oids = await connection.fetch(
        "SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = ANY ($1)", names
    )
    rows = await connection.fetch(CATALOG, names, [row["oid"] for row in oids])
    return [tuple(row) for row in rows]


@pytest.fixture
async def platform(platform_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(platform_database_url) as connection:
        yield connection


async def test_a_platforms_tables_stay_byte_for_byte_what_they_are(platform: asyncpg.Connection) -> None:
    theirs = await tables(platform, "public")
    before = await catalog(platform, theirs)
    assert len(before) > 100
    assert list(await migrate(platform)) == ALL
    assert await catalog(platform, theirs) == before
    await check_schema(platform)


async def test_what_a_platform_lacks_is_made(platform: asyncpg.Connection) -> None:
    await migrate(platform)
    assert await tables(platform, "public") >= {*SHARED, "schema_migrations", "workspace_plugins"}
    columns = "SELECT org_id, plugin_name, enabled_by, enabled_at FROM public.org_plugin_allowlist"
    assert await platform.fetch(columns) == []


async def test_a_platforms_tables_named_like_ours_are_not_ours(platform: asyncpg.Connection) -> None:
    await migrate(platform)
    versions = await platform.fetch("SELECT version, dirty FROM public.schema_migrations")
    assert [tuple(row) for row in versions] == [(42, False)]
