"""How the command shows things: tables for people, plain columns in a pipe, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.moments import plain

_COLOURS = {
    "online": "green",
    "degraded": "yellow",
    "offline": "red",
    "failed": "red",
    "provisioning": "cyan",
    "removed": "dim",
}
Row = Mapping[str, Any]

_PIPE_WIDTH = 400  # no line of a table is folded where a program reads it


def console() -> Console:
    """Where tables go: standard output, as wide as it is."""
    return Console() if sys.stdout.isatty() else Console(width=_PIPE_WIDTH, color_system=None)


def print_json(value: object) -> None:
    """One JSON document on standard output; times as RFC 3339 in UTC."""
    sys.stdout.write(json.dumps(value, default=plain, ensure_ascii=False) + "\n")


def print_pairs(pairs: Mapping[str, object] | Iterable[tuple[str, object]]) -> None:
    """Two columns: a name and its value."""
    named = pairs.items() if isinstance(pairs, Mapping) else pairs
    shown = [(name, printable("" if value is None else str(value))) for name, value in named]
    if not sys.stdout.isatty():
        width = max(len(name) for name, _ in shown)
        sys.stdout.writelines(f"{name:<{width}}  {value}".rstrip() + "\n" for name, value in shown)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, value in shown:
        table.add_row(name, Text(value))
    console().print(table)


def printable(text: str) -> str:
    """`text` without what a terminal would obey: names and errors come from anywhere."""
    return "".join(character if character.isprintable() else " " for character in text)


def print_settings(settings: Iterable[tuple[str, object, str]]) -> None:
    """Three columns: a variable, its value, what it is for."""
    table = Table(box=None, pad_edge=False)
    for heading in ("VARIABLE", "VALUE", ""):
        table.add_column(heading, overflow="fold")
    for variable, value, about in settings:
        table.add_row(variable, Text("" if value is None else str(value)), Text(about, style="dim"))
    console().print(table)


def workspaces(rows: Iterable[Row]) -> Table:
    """The workspaces as a table, statuses in their colours."""
    table = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False)
    for heading in ("NAME", "STATUS", "REASON", "SINCE", "HEARTBEAT", "RUNTIME", "ID"):
        table.add_column(heading, no_wrap=heading == "ID")
    now = datetime.now(UTC)
    for row in rows:
        table.add_row(
            Text(printable(row["name"] or "")),
            Text(row["status"], style=_COLOURS.get(row["status"], "")),
            Text(row["status_reason"] or ""),
            _ago(now, row["status_changed_at"]),
            _ago(now, row["last_heartbeat_at"]),
            Text(row["runtime"]),
            Text(str(row["id"])),
        )
    return table


def tokens(rows: Iterable[Row]) -> Table:
    """Tokens as a table, of each what may be shown."""
    table = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False)
    for heading in ("PREFIX", "CREATED", "LAST USED", "ID"):
        table.add_column(heading, no_wrap=heading == "ID")
    now = datetime.now(UTC)
    for row in rows:
        created, used = _ago(now, row["created_at"]), _ago(now, row["last_used_at"])
        table.add_row(Text(row["prefix"]), created, used, Text(str(row["id"])))
    return table


def _ago(now: datetime, moment: datetime | None) -> str:
    """How long ago, in the largest unit that fits."""
    if moment is None:
        return ""
    seconds = (now - moment).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f}{unit} ago"
    return f"{max(seconds, 0):.0f}s ago"
