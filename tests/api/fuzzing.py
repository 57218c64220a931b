"""What Schemathesis, a program of its own, loads beside api/openapi.yaml: ids that there are, and our check.

FUZZED_IDS names workspaces; three of four ids that it makes up become one of them, so that not every answer
is a 404. In its stateful phase it uses what it created itself.
"""

import os
import re
import zlib
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any

import schemathesis
from schemathesis.generation.meta import TestPhase

Case = schemathesis.Case[Any]

_IDS = os.environ["FUZZED_IDS"].split(",")
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DECLARED = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE)


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: Case, _options: dict[str, Any]) -> None:
    body = case.body if isinstance(case.body, dict) else {}
    if str(body.get("source")).startswith("github://"):
        body["source"] = "local://hello"  # nothing is fetched from elsewhere
    stateful = case.meta is not None and case.meta.phase.name == TestPhase.STATEFUL
    if stateful or case.operation.definition.raw.get("operationId") == "removeWorkspace":
        return  # those that there are stay
    _make_real(case.path_parameters, "id")
    for key in ("id", "workspace_id", "parent_id"):
        _make_real(body, key)
    if "source" in body and zlib.crc32(repr(body).encode()) % 2:
        body["source"] = "local://hello"


def _make_real(values: MutableMapping[str, Any], key: str) -> None:
    text = values.get(key)
    if isinstance(text, str) and _ID.fullmatch(text) and (number := zlib.crc32(text.encode())) % 4:
        values[key] = _IDS[number % len(_IDS)]


@schemathesis.check
def no_server_error_but_declared_ones(
    _context: schemathesis.CheckContext, response: schemathesis.Response, case: Case
) -> None:
    """503 and 507 say what is away. Any other 5xx is a bug of ours; that it is declared is another check."""
    status = response.status_code
    assert status < HTTPStatus.INTERNAL_SERVER_ERROR or status in _DECLARED, (
        f"{case.operation.label}: {status}"
    )
