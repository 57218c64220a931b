"""Bytes to values: what a request says, checked, or an error that names what is wrong.

Nothing here knows a web.Request; handlers read the bytes and hand them in.
"""

import json
import re
from typing import Any, NoReturn

from api.errors import InvalidBody

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""The escape for NUL: `\\u0000` after an even number of backslashes."""


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`. Raises InvalidBody for anything else.

    Refused too: duplicate keys (two readers would see two requests), NaN and infinities, and texts that
    PostgreSQL cannot hold: `\\u0000` and lone surrogates.
    """
    try:
        if _NUL.search(raw):
            raise InvalidBody
        value = json.loads(raw, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as exc:
        raise InvalidBody from exc
    if not isinstance(value, dict):
        raise InvalidBody
    return value


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key appears twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
