"""Every event that the code can log, read from its source; and every event that docs/logs.md explains."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.gates.names import Source, SourceTree

LEVELS = {"debug", "info", "warning", "error", "critical"}
COMMON = {"workspace_id", "container_name", "sweep_id", "request_id"}
"""Keys that are explained once for all events."""

_METHODS = {**{level: level for level in LEVELS}, "exception": "error"}
_LITERAL = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*")
_ROW = re.compile(r"^\| `(?P<event>[^`]+)` \| (?P<levels>[a-z, ]+) \| (?P<keys>[^|]*) \| (?P<duty>[^|]+) \|$")


class BadEvent(Exception):
    """A log call that no table can hold; the text says where and why."""


@dataclass(slots=True)
class Event:
    """One event, over all its calls. `open`: words that may name further keys, where a call passes `**`."""

    levels: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    open: set[str] = field(default_factory=set)


def logged(root: Path) -> dict[str, Event]:
    """Every event of the tree at `root`. Raises BadEvent."""
    events: dict[str, Event] = {}
    for source in SourceTree(root).sources.values():
        for node in source.scopes:
            if isinstance(node, ast.Call) and (method := _log_method(source, node)):
                name = _name(source, node)
                event = events.setdefault(name, Event())
                event.levels.add(_METHODS[method])
                keys = {"exception" if k.arg == "exc_info" else k.arg for k in node.keywords if k.arg}
                event.keys |= keys | ({"exception"} if method == "exception" else set())
                if any(keyword.arg is None for keyword in node.keywords):
                    event.open |= _words(source)
            elif isinstance(node, ast.Dict) and (given := _as_a_value(node)):
                events.setdefault(given["event"], Event({"any"}, set(given) - {"event"}))
    for event in events.values():
        event.keys -= COMMON
    return events


def explained(text: str) -> dict[str, tuple[Event, str]]:
    """Every row of the tables in `text`, with what it asks of the operator."""
    rows = [match for line in text.splitlines() if (match := _ROW.match(line))]
    return {
        row["event"]: (
            Event(set(row["levels"].split(", ")), set(re.findall(r"`([a-z_]+)`", row["keys"]))),
            row["duty"],
        )
        for row in rows
    }


def _log_method(source: Source, call: ast.Call) -> str | None:
    """The method of the logger that is called, if one is: loggers are called `log`, nothing else is."""
    if not isinstance(call.func, ast.Attribute):
        return None
    owner = call.func.value
    while isinstance(owner, ast.Call) and ast.unparse(owner.func) == "log.bind":
        owner = owner.func.value if isinstance(owner.func, ast.Attribute) else owner
    if ast.unparse(owner) not in ("log", "structlog.get_logger()"):
        return None
    if call.func.attr in ("bind", *_METHODS):
        return call.func.attr if call.func.attr != "bind" else None
    raise BadEvent(f"{source.path}:{call.lineno}: log.{call.func.attr}() is no level of docs/logs.md")


def _name(source: Source, call: ast.Call) -> str:
    match call.args:
        case [ast.Constant(value=str(name))] if _LITERAL.fullmatch(name):
            return name
    raise BadEvent(
        f"{source.path}:{call.lineno}: {ast.unparse(call)[:60]}: an event is one literal "
        "`noun.verb`, so that it can be counted and looked up; what varies goes into keys"
    )


def other_loggers(root: Path) -> Iterator[str]:
    """Loggers that `logged` would not see: those with another name, or of the standard library."""
    for source in SourceTree(root).sources.values():
        for node in source.scopes:
            match node:
                case ast.Assign(value=ast.Call(func=function)) if ast.unparse(function).endswith(
                    "get_logger"
                ):
                    if [ast.unparse(target) for target in node.targets] != ["log"]:
                        yield f"{source.path}:{node.lineno}: a logger is called `log`"
                case ast.Call(func=ast.Attribute(value=ast.Name(id="logging"), attr=method)) if (
                    method in _METHODS or method == "getLogger"
                ):
                    yield f"{source.path}:{node.lineno}: logging.{method}() has no events: use structlog"


def _words(source: Source) -> set[str]:
    """Every word of the file that could name a key: of a dictionary, a keyword, a field."""
    words: set[str] = set()
    for node in source.scopes:
        match node:
            case ast.Constant(value=str(word)) | ast.keyword(arg=str(word)):
                words.add(word)
            case ast.AnnAssign(target=ast.Name(id=word)):
                words.add(word)
    return words


def _as_a_value(node: ast.Dict) -> dict[str, str] | None:
    """The keys of an event that is put together as a dictionary, such as a library's line."""
    pairs = {
        key.value: str(value.value) if isinstance(value, ast.Constant) else ""
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }
    return pairs if _LITERAL.fullmatch(pairs.get("event", "")) else None
