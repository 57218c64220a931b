"""What each verb of the command does."""

import asyncio
import sys
import time
from argparse import Namespace
from dataclasses import asdict, replace
from uuid import UUID

import structlog
from rich.live import Live
from rich.text import Text

from deploy.command import store, tables
from deploy.command.reach import connected, database_of
from shared.database import Connection, migrate
from shared.engine import Engine
from shared.errors import DatabaseUnavailable
from shared.ids import parse_workspace_id
from shared.outage import DatabaseOutage
from shared.settings import Settings, about
from shared.tokens import issue_token
from shared.workspaces import (
    NewWorkspace,
    add_workspace,
    connection_block,
    read_workspaces,
    remove_workspace,
)
from sweeper.store import SweepStore
from sweeper.sweep import Sweeper

log = structlog.get_logger()

_REFRESH_S = 1.0
_COLUMNS = (
    "id",
    "name",
    "runtime",
    "status",
    "status_reason",
    "status_changed_at",
    "last_heartbeat_at",
)


async def migrate_database(options: Namespace, settings: Settings) -> None:
    outage = DatabaseOutage()
    while True:
        try:
            async with connected(settings, any_schema=True) as connection:
                applied = await migrate(connection)
            break
        except DatabaseUnavailable as exc:
            if not options.wait:
                raise
            outage.failed(exc)
        await asyncio.sleep(_REFRESH_S)
    for name, duration_ms in applied.items():
        log.info("migration.applied", name=name, duration_ms=duration_ms)
    if options.json:
        tables.print_json({"applied": list(applied)})
    else:
        print("\n".join(f"applied {name}" for name in applied) or "nothing to do")  # noqa: T201


async def config(options: Namespace, settings: Settings) -> None:
    shown = settings.shown()
    if options.json:
        tables.print_json(shown)
    else:
        tables.print_settings([(variable, value, about(variable)) for variable, value in shown.items()])


async def sweep_once(options: Namespace, settings: Settings) -> None:
    """One sweep, with the graces that it starts."""
    if options.dry_run:
        settings = replace(settings, sweep_write=False)
    async with (
        database_of(settings) as database,
        Engine(settings.docker_host, timeout=settings.engine_timeout) as engine,
    ):
        fleet = SweepStore(database, unswept_runtimes=settings.unswept_runtimes)
        sweeper = Sweeper(engine=engine, store=fleet, settings=settings)
        await sweeper.sweep(force=options.force)
        while (due := sweeper.next_due()) is not None:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await sweeper.settle()
        report = sweeper.complete()
    if options.json:
        tables.print_json(asdict(report))
    else:
        tables.print_pairs(asdict(report))


async def add(options: Namespace, settings: Settings) -> None:
    """A row; with what a remote agent has to know, where the runtime is external."""
    new = NewWorkspace(
        id=parse_workspace_id(options.id) if options.id else None,
        name=options.name,
        runtime=options.runtime,
        status=options.status,
    )
    connects = options.runtime in settings.external_runtimes and options.status != "removed"
    async with connected(settings) as connection, connection.transaction():
        added = await add_workspace(connection, new, detected_by="command", cause_id=None)
        if added is None:
            raise store.Refused(f"the workspace {new.id} exists already")
        issued = await issue_token(connection, added) if connects else None
        (row,) = await _rows(connection, added)
    if issued is None:
        _show_one(options, row)
        return
    log.info("token.issued", workspace_id=str(added), token_prefix=issued.prefix)
    block = connection_block(settings, added, issued.token)
    if options.json:
        tables.print_json({**row, "connection": block})
    else:
        _show_one(options, row)
        tables.print_pairs(block)


async def _rows(connection: Connection, workspace_id: UUID | None = None) -> list[tables.Row]:
    """What the command shows of each workspace, or of one."""
    rows = await read_workspaces(connection, workspace_id)
    return [{column: row[column] for column in _COLUMNS} for row in rows]


async def show(options: Namespace, settings: Settings) -> None:
    if getattr(options, "watch", False):
        await (_repeat(settings) if options.json else _watch(settings))
        return
    async with connected(settings) as connection:
        rows = await _rows(connection)
    if options.json:
        tables.print_json(rows)
    else:
        tables.console().print(tables.workspaces(rows))


async def _watch(settings: Settings) -> None:
    """Draw the table anew every second, also while the database is away."""
    async with database_of(settings) as database:
        with Live(console=tables.console(), auto_refresh=False, screen=sys.stdout.isatty()) as live:
            while True:
                try:
                    async with database.connection() as connection:
                        live.update(tables.workspaces(await _rows(connection)), refresh=True)
                except DatabaseUnavailable as exc:
                    live.update(Text(f"the database is away: {exc}", style="red"), refresh=True)
                await asyncio.sleep(_REFRESH_S)


async def _repeat(settings: Settings) -> None:
    """Print the rows anew every second, a line of JSON each time."""
    async with database_of(settings) as database:
        while True:
            async with database.connection() as connection:
                tables.print_json(await _rows(connection))
            sys.stdout.flush()
            await asyncio.sleep(_REFRESH_S)


async def pause(options: Namespace, settings: Settings) -> None:
    await _change(options, settings, to="paused", reason="paused", allowed=("degraded", "offline", "online"))


async def resume(options: Namespace, settings: Settings) -> None:
    """To offline: whether it comes online again is for the container or the agent to show."""
    await _change(options, settings, to="offline", reason="resumed", allowed=("paused",))


async def _change(
    options: Namespace, settings: Settings, *, to: str, reason: str, allowed: tuple[str, ...]
) -> None:
    workspace_id = parse_workspace_id(options.id)
    async with connected(settings) as connection:
        await store.change_status(connection, workspace_id, to=to, reason=reason, allowed=allowed)
        (row,) = await _rows(connection, workspace_id)
    _show_one(options, row)


async def remove(options: Namespace, settings: Settings) -> None:
    workspace_id = parse_workspace_id(options.id)
    async with connected(settings) as connection:
        descendants = await remove_workspace(connection, workspace_id, detected_by="command", cause_id=None)
    if options.json:
        tables.print_json({"id": str(workspace_id), "status": "removed", "cascade_deleted": descendants})
    else:
        print(f"removed, and {descendants} below it; containers untouched")  # noqa: T201


def _show_one(options: Namespace, row: tables.Row) -> None:
    if options.json:
        tables.print_json(row)
    else:
        tables.console().print(tables.workspaces([row]))
