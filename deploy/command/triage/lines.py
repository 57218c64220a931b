"""One line of input as one value: our own JSON, alone, in a journal's JSON, or behind somebody's prefix."""

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

Skipped = Literal["broken", "cut", "foreign", "plain", "too_big", "without_time"]
"""Why a line told nothing: JSON that cannot be read; that ends too early; JSON, but not ours; text; an entry
of a journal whose message was left out because of its size; ours, but with no time that can be read."""

PROCESSES = frozenset({"sweeper", "api", "command"})

_OUR_BEGINNING = b'{"ts": "'
_EVENT = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*")
_MICROSECONDS = 1e6
_decode = json.JSONDecoder().decode  # json.loads would guess the encoding of each line anew


class Line(NamedTuple):
    """A line that one of our processes wrote. `at` is in seconds since 1970."""

    at: float
    event: str
    keys: Mapping[str, Any]


class Text(NamedTuple):
    """A line of text, such as the service manager's. `at` is known where a journal says it."""

    at: float | None
    text: str


def parse(raw: bytes, *, in_journal: bool = False) -> Line | Text | Skipped:
    """What a line of input, or the message `in_journal`, says.

    Before our JSON other text may stand: the journal's `<N>`, or what `journalctl` and others put there.
    """
    if raw[:1] != b"{":
        begins = raw.find(_OUR_BEGINNING)
        if begins < 0:
            return Text(None, raw.decode(errors="replace").strip())
        raw = raw[begins:]
    keys = _object(raw)
    if isinstance(keys, str):
        return keys
    return _of_journal(keys) if "MESSAGE" in keys and not in_journal else _ours(keys)


def _object(raw: bytes) -> dict[str, Any] | Skipped:
    try:
        found = _decode(raw.decode())
    except (
        ValueError,
        RecursionError,
    ):  # bytes that are no text and numbers too long to read are ValueErrors
        return "broken" if raw.rstrip().endswith(b"}") else "cut"
    return found if isinstance(found, dict) else "foreign"


def _of_journal(entry: Mapping[str, Any]) -> Line | Text | Skipped:
    match entry["MESSAGE"]:
        case str(text):
            message = text.encode(errors="replace")
        case [*numbers] if all(type(n) is int and 0 <= n < 256 for n in numbers):  # noqa: PLR2004 - bytes
            message = bytes(numbers)  # how a journal tells what is no UTF-8, or has control characters
        case None:
            return "too_big"
        case _:
            return "foreign"
    said = parse(message, in_journal=True)
    return Text(_realtime(entry), said.text) if isinstance(said, Text) else said


def _realtime(entry: Mapping[str, Any]) -> float | None:
    text = entry.get("__REALTIME_TIMESTAMP")
    return int(text) / _MICROSECONDS if isinstance(text, str) and re.fullmatch("[0-9]{1,18}", text) else None


def _ours(keys: Mapping[str, Any]) -> Line | Skipped:
    event = keys.get("event")
    if keys.get("process") not in PROCESSES or type(event) is not str or not _EVENT.fullmatch(event):
        return "foreign"
    try:
        moment = datetime.fromisoformat(keys["ts"])
        return Line(moment.timestamp(), event, keys) if moment.tzinfo else "without_time"
    except (KeyError, TypeError, ValueError, OverflowError):
        return "without_time"


def number(keys: Mapping[str, Any], name: str) -> float:
    """The number under `name`; 0 where there is none that can be counted with."""
    value = keys.get(name)
    return value if isinstance(value, int | float) and math.isfinite(value) else 0


def word(keys: Mapping[str, Any], name: str) -> str:
    """What stands under `name`, as text; empty where nothing does."""
    value = keys.get(name)
    return "" if value is None else str(value)
