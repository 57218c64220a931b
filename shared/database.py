"""The door to PostgreSQL: a pool whose every step has a deadline, and the schema's migrations.

What a restart, a failover or a full disk makes asyncpg raise leaves this module as DatabaseUnavailable;
the pool itself survives all of them. Any other error of a statement is a bug and passes unchanged.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from types import TracebackType
from typing import Self

import asyncpg

from shared.errors import DatabaseUnavailable, MigrationRefused, SchemaNewer, SchemaOlder, SettingsError

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

_CONNECT_TIMEOUT_S = 5
_STATEMENT_TIMEOUT_S = 10
_LOCK_TIMEOUT_S = 5

_AWAY = (
    OSError,  # TimeoutError is one too
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,  # a connection that broke under a statement
    asyncpg.InternalClientError,  # one that the server ended an instant ago; no primary among several hosts
    asyncpg.OperatorInterventionError,  # starting up, shutting down, a deadline of ours
    asyncpg.InsufficientResourcesError,  # full disk, too many connections
    asyncpg.LockNotAvailableError,
    asyncpg.TransactionRollbackError,  # a deadlock was broken: the same again may succeed
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.PostgresSystemError,
)


ROW_REFUSED = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.PLPGSQLError,  # a trigger of another program
)
"""What a statement fails with because of the rows that it writes: without them it may succeed."""


class Database:
    """A pool of connections to `url`, opened when first needed: an absent server is no error at start.

    `application` is what an operator sees in pg_stat_activity. Nobody gets a connection before the schema was
    seen to be this code's, but for whoever brings it there, who takes `any_schema`.
    """

    def __init__(self, url: str, *, application: str, connections: int = 4, any_schema: bool = False) -> None:
        self._url = url
        self._application = application
        self._connections = connections
        self._schema_checked = any_schema

    async def __aenter__(self) -> Self:
        self._pool = await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=self._connections,
            timeout=_CONNECT_TIMEOUT_S,
            reset=_nothing_to_reset,
            command_timeout=_STATEMENT_TIMEOUT_S + 1,  # the server's own deadline comes first
            server_settings={
                "application_name": self._application,
                "statement_timeout": str(_STATEMENT_TIMEOUT_S * 1000),
                "lock_timeout": str(_LOCK_TIMEOUT_S * 1000),
            },
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.terminate()  # a graceful close waits for a server that may be gone

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection of the pool.

        Raises DatabaseUnavailable, also for what fails inside, SettingsError, and what check_schema raises.
        """
        acquired = False
        try:
            async with self._pool.acquire(timeout=_CONNECT_TIMEOUT_S) as connection:
                acquired = True
                try:
                    if not self._schema_checked:
                        await check_schema(connection)
                        self._schema_checked = True
                    yield connection
                except asyncio.CancelledError:
                    # To give it back would wait for a server that may hang, and then raise the timeout of
                    # that in place of the cancellation.
                    connection.terminate()
                    raise
        except asyncpg.ReadOnlySQLTransactionError as exc:
            # A failover leaves us on a server that answers and takes no write: connect anew.
            raise await self.read_only() from exc
        except asyncpg.InsufficientPrivilegeError as exc:
            raise DatabaseUnavailable(str(exc.args[0])) from exc  # such as: permission denied for table x
        except (
            ValueError,
            asyncpg.UndefinedObjectError,
        ):  # the latter: ?sslmod=require, taken for a parameter
            if acquired:
                raise
            # asyncpg reads the url only now, when it is first needed, and may quote the password.
            raise SettingsError(
                "DATABASE_URL", "is no url that PostgreSQL and its clients can read"
            ) from None
        except _AWAY as exc:
            raise DatabaseUnavailable(_why(exc)) from exc

    async def read_only(self) -> DatabaseUnavailable:
        """The error for a server that was found read-only; later connections are new ones."""
        await self._pool.expire_connections()
        return DatabaseUnavailable("it is read-only")


async def _nothing_to_reset(_connection: Connection) -> None:
    """Nobody here changes a session, so a connection goes back to the pool without a question to the server.

    An open transaction is rolled back before this is called.
    """


def _why(exc: BaseException) -> str:
    if isinstance(exc, asyncpg.PostgresError):
        return f"{type(exc).__name__} ({exc.sqlstate})"
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return "no answer in time" if isinstance(exc, TimeoutError) else type(exc).__name__


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered SQL file; once applied it never changes."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All migrations that this code knows, in their order."""
    files = resources.files("shared.migrations").iterdir()
    return [
        Migration(file.name.removesuffix(".sql"), file.read_text())
        for file in sorted(files, key=lambda file: file.name)
        if file.name.endswith(".sql")
    ]


async def migrate(connection: Connection) -> dict[str, int]:
    """Apply what is missing, all or nothing, one migrator at a time.

    The names of what was applied, in their order, with how many milliseconds each took.

    Raises MigrationRefused with what to do, SchemaNewer.
    """
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('healthsweep.migrations'))")
            if not await connection.fetchval("SELECT to_regclass('healthsweep.migrations') IS NOT NULL"):
                await connection.execute(_BOOTSTRAP)
            applied: dict[str, int] = {}
            for migration in await _missing(connection):
                started = time.perf_counter()
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO healthsweep.migrations (name, checksum) VALUES ($1, $2)",
                    migration.name,
                    migration.checksum,
                )
                applied[migration.name] = round((time.perf_counter() - started) * 1000)
    except asyncpg.InsufficientPrivilegeError as exc:
        raise MigrationRefused(await _grant_that_helps(connection, str(exc))) from exc
    except asyncpg.ReadOnlySQLTransactionError as exc:
        raise MigrationRefused("the database is read-only: connect to the primary server") from exc
    return applied


async def check_schema(connection: Connection) -> None:
    """Return if the schema is the one that this code needs.

    Raises SchemaOlder (wait for `healthsweep migrate`), SchemaNewer, and MigrationRefused when the file
    of an applied migration has changed, or when our role may not look.
    """
    try:
        if not await connection.fetchval("SELECT to_regclass('healthsweep.migrations') IS NOT NULL"):
            raise SchemaOlder("the database has not been migrated: run `healthsweep migrate`")
        missing = await _missing(connection)
    except asyncpg.InsufficientPrivilegeError as exc:
        raise MigrationRefused(await _grant_that_helps(connection, str(exc))) from exc
    if missing:
        names = ", ".join(migration.name for migration in missing)
        raise SchemaOlder(f"the database lacks {names}: run `healthsweep migrate`")


async def _missing(connection: Connection) -> list[Migration]:
    known = {migration.name: migration for migration in migrations()}
    rows = await connection.fetch("SELECT name, checksum FROM healthsweep.migrations")
    applied: dict[str, str] = {row["name"]: row["checksum"] for row in rows}
    if newer := sorted(applied.keys() - known.keys()):
        raise SchemaNewer(
            f"the database has {', '.join(newer)}, which this version does not know: upgrade it"
        )
    for name, checksum in applied.items():
        if known[name].checksum != checksum:
            raise MigrationRefused(f"migration {name} is not the file that was applied to this database")
    return [migration for name, migration in known.items() if name not in applied]


async def _grant_that_helps(connection: Connection, refusal: str) -> str:
    role = await connection.fetchval("SELECT current_user")
    database = await connection.fetchval("SELECT current_database()")
    if "schema public" in refusal:
        grant = f'GRANT CREATE ON SCHEMA public TO "{role}"'
    elif "schema healthsweep" in refusal or "for table" in refusal:
        # Another role migrated it. Both at once, because the first alone leads to the next refusal.
        everything = ("ON SCHEMA healthsweep", "ON ALL TABLES IN SCHEMA healthsweep")
        grant = "; ".join(f'GRANT ALL {on} TO "{role}"' for on in everything)
    else:
        grant = f'GRANT CREATE ON DATABASE "{database}" TO "{role}"'
    return f'the role "{role}" may not do this ({refusal}); as the owner of the database run: {grant};'


_BOOTSTRAP = """
CREATE SCHEMA IF NOT EXISTS healthsweep;
CREATE TABLE healthsweep.migrations (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
"""
