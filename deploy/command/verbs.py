"""What each verb of the command does."""

import asyncio
import sys
import time
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace

from rich.live import Live
from rich.text import Text

from deploy.command import store, tables
from shared.database import Connection, Database, check_schema, migrate
from shared.engine import Engine
from shared.errors import DatabaseUnavailable
from shared.ids import parse_workspace_id
from shared.settings import Settings, about
from sweeper.store import SweepStore
from sweeper.sweep import Sweeper

_REFRESH_S = 1.0


@asynccontextmanager
async def _connected(settings: Settings, *, migrated: bool = True) -> AsyncIterator[Connection]:
    async with _database(settings) as database, database.connection() as connection:
        if migrated:
            await check_schema(connection)
        yield connection


def _database(settings: Settings) -> Database:
    return Database(settings.required_database_url(), application="healthsweep-command")


async def migrate_database(options: Namespace, settings: Settings) -> None:
    async with _connected(settings, migrated=False) as connection:
        applied = await migrate(connection)
    if options.json:
        tables.print_json({"applied": applied})
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
        _database(settings) as database,
        Engine(settings.docker_host, timeout=settings.engine_timeout) as engine,
    ):
        async with database.connection() as connection:
            await check_schema(connection)
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
    workspace_id = parse_workspace_id(options.id) if options.id else None
    async with _connected(settings) as connection:
        added = await store.add_workspace(
            connection,
            name=options.name,
            workspace_id=workspace_id,
            runtime=options.runtime,
            status=options.status,
        )
        (row,) = await store.read_workspaces(connection, added)
    _show_one(options, row)


async def show(options: Namespace, settings: Settings) -> None:
    if getattr(options, "watch", False):
        await _watch(settings)
        return
    async with _connected(settings) as connection:
        rows = await store.read_workspaces(connection)
    if options.json:
        tables.print_json(rows)
    else:
        tables.console().print(tables.workspaces(rows))


async def _watch(settings: Settings) -> None:
    """Draw the table anew every second, also while the database is away."""
    async with _database(settings) as database:
        with Live(console=tables.console(), auto_refresh=False, screen=sys.stdout.isatty()) as live:
            while True:
                try:
                    async with database.connection() as connection:
                        live.update(tables.workspaces(await store.read_workspaces(connection)), refresh=True)
                except DatabaseUnavailable as exc:
                    live.update(Text(f"the database is away: {exc}", style="red"), refresh=True)
                await asyncio.sleep(_REFRESH_S)


async def pause(options: Namespace, settings: Settings) -> None:
    await _change(options, settings, to="paused", reason="paused", allowed={"online", "degraded", "offline"})


async def resume(options: Namespace, settings: Settings) -> None:
    """To offline: whether it comes online again is for the container or the agent to show."""
    await _change(options, settings, to="offline", reason="resumed", allowed={"paused"})


async def _change(options: Namespace, settings: Settings, *, to: str, reason: str, allowed: set[str]) -> None:
    workspace_id = parse_workspace_id(options.id)
    async with _connected(settings) as connection:
        await store.change_status(connection, workspace_id, to=to, reason=reason, allowed=frozenset(allowed))
        (row,) = await store.read_workspaces(connection, workspace_id)
    _show_one(options, row)


async def remove(options: Namespace, settings: Settings) -> None:
    workspace_id = parse_workspace_id(options.id)
    async with _connected(settings) as connection:
        number = await store.remove_workspace(connection, workspace_id)
    if options.json:
        tables.print_json({"id": str(workspace_id), "status": "removed", "cascade_deleted": number - 1})
    else:
        print(f"removed {number}, containers untouched")  # noqa: T201


def _show_one(options: Namespace, row: tables.Row) -> None:
    if options.json:
        tables.print_json(row)
    else:
        tables.console().print(tables.workspaces([row]))
