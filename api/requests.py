"""Bytes to values: what a request says, checked, or an error that names what is wrong.

Nothing here knows a web.Request; handlers read the bytes and hand them in.
"""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from api.errors import InvalidBody, InvalidPluginName, InvalidRequest, SourceRequired
from api.names import PLUGIN_NAME_RULE, is_plugin_name

_HEX_SHA256 = re.compile(r"[0-9a-fA-F]{64}")

MOST_DEPTH = 64

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""The escape for NUL: `\\u0000` after an even number of backslashes."""


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`. Raises InvalidBody for anything else.

    Refused too: another encoding than UTF-8, duplicate keys (two readers would see two requests), NaN and
    infinities, texts that PostgreSQL cannot hold (`\\u0000` and lone surrogates), and more than MOST_DEPTH
    levels, which an answer that holds this one could not be made of.
    """
    try:
        text = raw.decode("utf-8-sig")
        if _NUL.search(text):
            raise InvalidBody
        value = json.loads(
            text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=_finite
        )
        if text.count("[") + text.count("{") > MOST_DEPTH:  # else it cannot be deeper
            _refuse_depth(value)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # an escape can stand for half a character
    except (ValueError, RecursionError) as exc:
        raise InvalidBody from exc
    if not isinstance(value, dict):
        raise InvalidBody
    return value


def _refuse_depth(value: object) -> None:
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [child for each in level for child in _children(each)]
    if level:
        raise InvalidBody(detail=f"nested more than {MOST_DEPTH} levels deep")


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key appears twice")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number beyond all bounds")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


@dataclass(frozen=True, slots=True)
class InstallRequest:
    """The body of an install."""

    source: str
    sha256: str | None
    restart: bool


def parse_install(raw: bytes) -> InstallRequest:
    """The install that `raw` asks for; unknown keys are ignored. Raises InvalidBody, SourceRequired."""
    body = parse_object(raw)
    source, sha256, restart = body.get("source"), body.get("sha256"), body.get("restart", True)
    if not isinstance(source, str | None) or not isinstance(restart, bool):
        raise InvalidBody
    if not isinstance(sha256, str | None) or (sha256 and not _HEX_SHA256.fullmatch(sha256)):
        raise InvalidBody(detail="sha256 is 64 hexadecimal digits")
    if not source or not source.strip():
        raise SourceRequired
    return InstallRequest(source.strip(), sha256.lower() if sha256 else None, restart)


def parse_flag(text: str | None, *, name: str, default: bool) -> bool:
    """A query parameter that is true or false. Raises InvalidRequest."""
    match (text or "").lower():
        case "":
            return default
        case "true" | "1":
            return True
        case "false" | "0":
            return False
        case _:
            raise InvalidRequest(f"{name} must be true or false")


@dataclass(frozen=True, slots=True)
class AllowlistRequest:
    """The body that replaces an allowlist."""

    plugins: list[str]
    enabled_by: str


def parse_allowlist(raw: bytes) -> AllowlistRequest:
    """The allowlist that `raw` asks for, without duplicates. Raises InvalidRequest, InvalidPluginName."""
    body = parse_object(raw)
    names, enabled_by = body.get("plugins"), body.get("enabled_by")
    if not isinstance(names, list | None) or not all(isinstance(name, str) for name in names or ()):
        raise InvalidBody
    if not isinstance(enabled_by, str) or not enabled_by.strip():
        raise InvalidRequest("enabled_by is required")
    for name in names or ():
        if not is_plugin_name(name):
            raise InvalidPluginName(
                plugin_name=name[:128],
                detail=PLUGIN_NAME_RULE,
            )
    return AllowlistRequest(sorted(set(names or ())), enabled_by.strip()[:256])
