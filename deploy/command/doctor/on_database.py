"""The database: whether it can be used, and what it tells of the workspaces."""

from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import ip_address

from deploy.command.doctor import store
from deploy.command.doctor.finding import Finding, counted, failed, ok, skipped, warning
from deploy.command.doctor.units import with_address_of_api
from deploy.handbook import Entry
from shared.database import Database, check_schema
from shared.errors import DatabaseUnavailable, SchemaError, SchemaNewer, SchemaOlder
from shared.settings import Settings
from shared.tokens import RESET_LASTS_S

_NAMED = 3
_CLOCKS_DIFFER_S = 5.0


async def database_reachable(database: Database | None) -> Finding:
    """PostgreSQL answers at DATABASE_URL."""
    if database is None:
        mend = "deploy/install, on a host; in a checkout bash deploy/run; both bring a database; or set it"
        return failed("DATABASE_URL is not set", mend)
    try:
        async with database.connection() as connection:
            version, _, _ = await store.server(connection)
    except DatabaseUnavailable as exc:
        return failed(f"it cannot be asked: {exc}", _mend_of(str(exc)), Entry.DATABASE_AWAY)
    return ok(f"PostgreSQL {version} answers")


def _mend_of(problem: str) -> str:
    """By the SQLSTATE that PostgreSQL refused with, if it was that far."""
    if "3D000" in problem:
        return "createdb NAME, the name being the one at the end of DATABASE_URL; then healthsweep migrate"
    if "(28" in problem:
        return "correct the user and the password in DATABASE_URL"
    return "systemctl status postgresql; if it runs, correct DATABASE_URL"


async def database_migrated(database: Database) -> Finding:
    """The schema is this version's."""
    try:
        async with database.connection() as connection:
            await check_schema(connection)
    except SchemaOlder as exc:
        return failed(str(exc), "healthsweep migrate", Entry.SCHEMA)
    except SchemaNewer as exc:
        return failed(str(exc), "upgrade healthsweep on this host, or restore the backup", Entry.SCHEMA)
    except SchemaError as exc:
        return failed(str(exc), "run what the sentence says, as the owner of the database", Entry.SCHEMA)
    return ok("the schema is this version's")


async def database_writable(database: Database) -> Finding:
    """It takes what the services write."""
    async with database.connection() as connection:
        _, read_only, _ = await store.server(connection)
    if read_only:
        reset = "ALTER DATABASE name RESET default_transaction_read_only"
        mend = f"point DATABASE_URL at the primary server; where there is but one: psql -c '{reset}'"
        return failed("it answers, but it is read-only", mend, Entry.DATABASE_AWAY)
    try:
        async with database.connection() as connection:
            await check_schema(connection)
            await store.try_to_write(connection)
    except DatabaseUnavailable as exc:
        mend = "psql, as the table's owner: GRANT SELECT, INSERT, UPDATE ON it TO the role of DATABASE_URL"
        return failed(f"it refuses what the services write: {exc}", mend, Entry.DATABASE_AWAY)
    return ok("it takes writes")


async def database_clock(database: Database) -> Finding:
    """Its clock is this host's: ages of heartbeats are counted by its clock, log lines bear ours."""
    async with database.connection() as connection:
        before = datetime.now(UTC)
        _, _, theirs = await store.server(connection)
        after = datetime.now(UTC)
    difference = (theirs - (before + (after - before) / 2)).total_seconds()
    if abs(difference) > _CLOCKS_DIFFER_S:
        says = f"the database's clock is {abs(difference):.0f} s {'ahead' if difference > 0 else 'behind'}"
        return warning(says, "timedatectl set-ntp true, on both hosts")
    return ok(f"its clock differs by {abs(difference) * 1000:.0f} ms")


async def status_writers(database: Database) -> Finding:
    """Nobody but us has written the statuses that we wrote last."""
    async with database.connection() as connection:
        foreign = await store.foreign_statuses(connection)
    if not foreign:
        return ok("no status was written over by another program")
    named = [f"{each.name or each.id} ({each.written}, now {each.status})" for each in foreign[:_NAMED]]
    says = f"another program wrote the status of {len(foreign)}: {_some(named, len(foreign))}"
    return warning(says, f"healthsweep why {foreign[0].id}", Entry.OTHER_WRITER)


async def tokens_live(database: Database) -> Finding:
    """No workspace is locked out: all its tokens revoked, and no way to register."""
    async with database.connection() as connection:
        locked = await store.locked_out(connection, RESET_LASTS_S)
    if not locked:
        return ok("no workspace is locked out")
    named = [str(each.name or each.id) for each in locked[:_NAMED]]
    says = f"{len(locked)} without any live token: {_some(named, len(locked))}"
    return warning(says, f"healthsweep token reset {locked[0].id}", Entry.AUTH_REJECTED)


async def agents_can_call(database: Database, settings: Settings) -> Finding:
    """Agents on other machines reach the api."""
    async with database.connection() as connection:
        count = await store.external(connection, settings.external_runtimes)
    if not count:
        return skipped("there is no external workspace")
    settings = await with_address_of_api(settings)
    reachable = settings.public_url or settings.trusted_proxies
    if _is_loopback(settings.bind_address) and not reachable:
        agents = counted(count, "external workspace")
        says = f"{agents}, and the api listens at {settings.bind_address}, for this host alone"
        mend = "set PUBLIC_URL to the address of a reverse proxy, or let the api listen in a trusted network"
        return warning(says, mend, Entry.HEARTBEATS_STALE)
    return ok(f"{counted(count, 'external workspace')}, told {settings.public_url or settings.bind_address}")


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _some(named: Sequence[str], count: int) -> str:
    return ", ".join(named) + (f" and {count - len(named)} more" if count > len(named) else "")
