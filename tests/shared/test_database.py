"""The pool as the server sees it, and which errors are an absence and which a bug."""

import traceback

import asyncpg
import pytest

from shared.database import Database
from shared.errors import SettingsError
from tests.shared.pools import opened, unavailable, works
from tests.support.postgres import PostgresServer, connected

# What the server sees


async def test_operators_see_who_is_connected(database: Database, database_url: str) -> None:
    async with database.connection(), connected(database_url) as connection:
        seen = await connection.fetch("SELECT application_name FROM pg_stat_activity")
    assert "healthsweep-test" in [row["application_name"] for row in seen]


@pytest.mark.parametrize(("setting", "value"), [("statement_timeout", "10s"), ("lock_timeout", "5s")])
async def test_the_server_knows_our_deadlines(setting: str, value: str, database: Database) -> None:
    async with database.connection() as connection:
        assert await connection.fetchval(f"SHOW {setting}") == value


# What is an absence, and what is a bug


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("08006", id="connection failure"),
        pytest.param("53100", id="disk full"),
        pytest.param("53200", id="out of memory"),
        pytest.param("53300", id="too many connections"),
        pytest.param("55P03", id="lock timeout"),
        pytest.param("57014", id="statement timeout"),
        pytest.param("57P01", id="shutting down"),
        pytest.param("57P03", id="starting up"),
        pytest.param("58030", id="input or output error"),
        pytest.param("25006", id="read-only"),
        pytest.param("42501", id="not allowed"),
    ],
)
async def test_the_server_cannot_at_the_moment(code: str, database: Database) -> None:
    await unavailable(database, f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$")
    assert await works(database)


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("SELECT * FROM nowhere", asyncpg.UndefinedTableError),
        ("SELECT 1 / 0", asyncpg.DivisionByZeroError),
        ("INSERT INTO public.org_plugin_allowlist (org_id) VALUES (NULL)", asyncpg.NotNullViolationError),
        ("SELECT 'x'::uuid", asyncpg.InvalidTextRepresentationError),
        ("SELEKT", asyncpg.PostgresSyntaxError),
    ],
)
async def test_any_other_error_of_a_statement_is_a_bug(
    statement: str, error: type[Exception], database: Database
) -> None:
    with pytest.raises(error):
        async with database.connection() as connection:
            await connection.fetch(statement)


async def test_a_value_that_does_not_fit_is_a_bug_too(database: Database) -> None:
    with pytest.raises(asyncpg.DataError):
        async with database.connection() as connection:
            await connection.fetchval("SELECT $1::integer", "seven")


async def test_an_error_of_the_callers_own_passes(database: Database) -> None:
    with pytest.raises(KeyError):
        async with database.connection():
            raise KeyError("mine")
    assert await works(database)


# Nobody there


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("postgresql://u:hunter2@/db?host=/nowhere", id="no socket"),
        pytest.param("postgresql://u:hunter2@127.0.0.1:1/db", id="a port that is closed"),
    ],
)
async def test_an_absent_server_is_no_error_at_start_and_is_told_without_the_password(url: str) -> None:
    async with opened(url) as database:
        assert "hunter2" not in await unavailable(database)


@pytest.mark.parametrize("part", ["role", "database"])
async def test_who_is_unknown_to_the_server_cannot_ask_it(part: str, postgres: PostgresServer) -> None:
    old, new = (
        ("//postgres@", "//nobody-of-that-name@") if part == "role" else ("/postgres?", "/none-of-that-name?")
    )
    async with opened(postgres.url.replace(old, new)) as database:
        await unavailable(database)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("postgresql://u:hunter2@host/db?sslmode=perhaps", id="an unknown mode"),
        pytest.param("postgresql://u:hunter2\u2100@host/db", id="characters that normalise to others"),
    ],
)
async def test_a_url_that_makes_no_sense_is_a_wrong_setting(url: str) -> None:
    async with opened(url) as database:
        with pytest.raises(SettingsError) as caught:
            async with database.connection():
                pass
    assert caught.value.variable == "DATABASE_URL"
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


async def test_a_value_error_of_the_callers_own_is_none(database: Database) -> None:
    with pytest.raises(ValueError, match="mine"):
        async with database.connection():
            raise ValueError("mine")
