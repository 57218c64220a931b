"""Structured logs: one line, one JSON object, one event that a program can count on.

Keys that are always there: `ts` (RFC 3339, UTC, milliseconds), `level`, `process`, `event`. An event is a
literal `noun.verb`; what varies stands in keys. Lines of libraries and the interpreter's warnings go
through the same renderer, as the event `library.message`.
"""

import json
import logging
import os
import sys
import warnings
from collections.abc import MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from io import TextIOWrapper
from types import TracebackType
from typing import Any, Literal, TextIO

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from shared.moments import rfc3339

Process = Literal["sweeper", "api", "command"]

_LONGEST = 256
_JOURNAL_PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}

EventDict = MutableMapping[str, Any]


def configure(process: Process, *, level: str, form: str, stream: TextIO) -> None:
    """Send every line of this process to `stream`, as JSON or, with form `console`, for people."""
    prefix = form == "json" and _is_the_journal(stream)
    if isinstance(stream, TextIOWrapper):  # JSON is UTF-8, and bytes that are no text must not end us
        stream.reconfigure(encoding="utf-8" if form == "json" else None, errors="backslashreplace")

    def common(_logger: Any, _method: str, event: EventDict) -> EventDict:
        now = rfc3339(datetime.now(UTC))
        head = {"ts": now, "level": event.pop("level"), "process": process, "event": event.pop("event")}
        return {**head, **event}

    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        # Frame locals hold tokens and DSNs: they never reach a log.
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False, max_frames=20)),
        common,
        _bounded,
    ]

    def as_json(_logger: Any, _method: str, event: EventDict) -> str:
        line = json.dumps(event, ensure_ascii=False)
        return f"<{_JOURNAL_PRIORITY[event['level']]}>{line}" if prefix else line

    renderer = as_json if form == "json" else structlog.dev.ConsoleRenderer()
    least = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=lambda *_: _Lines(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_library_message, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(least, logging.WARNING), force=True)
    logging.raiseExceptions = False  # a line that cannot be written, as below
    logging.captureWarnings(capture=True)
    warnings.simplefilter("default")
    sys.excepthook = _say_and_die


class _Lines:
    """Writes lines to a stream. One that nobody takes is lost: a log must not end what it tells of."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        with suppress(OSError):  # its reader is gone, its disk is full
            self._stream.write(f"{line}\n")
            self._stream.flush()

    debug = info = warning = error = critical = msg


def let_go(stream: TextIO) -> None:
    """Flush `stream`, and give up what it does not take: the interpreter would complain of it at its end."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _library_message(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """What a library said is outside text: it becomes a value, never an event."""
    record: logging.LogRecord = event["_record"]
    return {**event, "event": "library.message", "logger": record.name, "message": str(event["event"])}


def _bounded(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """At most 256 characters of anything that may have come from outside."""
    return {key: _cut(value) for key, value in event.items()}


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cut(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)  # an exception, a path: it will be shown as text, so it is cut as text
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _is_the_journal(stream: TextIO) -> bool:
    """Whether `stream` is the journal's own socket: JOURNAL_STREAM names its device and inode."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _say_and_die(kind: type[BaseException], exc: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, exc, traceback)
        return
    structlog.get_logger().critical("process.crashed", exc_info=(kind, exc, traceback))
