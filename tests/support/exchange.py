"""A request's head, and what became of the request: what is on record of an engine's wire."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from urllib.parse import parse_qsl, unquote

_VERSION_PREFIX = re.compile(r"/v(?P<version>[0-9.]+)(?=/)")
_INSPECT = re.compile(r"/containers/(?P<container>[^/]+)/json")


@dataclass(frozen=True, slots=True)
class Request:
    """A request's head. `path` is without the API version in front, and as it was sent otherwise."""

    method: str
    path: str
    query: Mapping[str, str]
    version: str | None
    headers: Mapping[str, str]
    head: bytes

    @classmethod
    def parse(cls, head: bytes) -> Self:
        line, headers = parse_head(head)
        method, target, _ = line.split(" ", 2)
        path, _, query = target.partition("?")
        prefix = _VERSION_PREFIX.match(path)
        return cls(
            method=method,
            path=path[prefix.end() :] if prefix else path,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            version=prefix["version"] if prefix else None,
            headers=headers,
            head=head,
        )


@dataclass(slots=True)
class Exchange:
    """One request and what the client got for it. Times are those of this process's clock, in UTC.

    `answered_at` is taken right before the answer's last byte leaves, so that nothing a client does
    because of the answer can be earlier. It is None, as is `status`, where no whole answer was given.
    `body` is decoded where it is JSON, else bytes.
    """

    method: str
    path: str
    query: Mapping[str, str]
    at: datetime
    status: int | None = None
    body: object = None
    answered_at: datetime | None = None

    @property
    def inspected(self) -> str | None:
        """The container name or id that this request inspects, if it is an inspect."""
        match = _INSPECT.fullmatch(self.path) if self.method == "GET" else None
        return unquote(match["container"]) if match else None

    def answer(self, status: int, body: bytes) -> None:
        """Note the whole answer; call it right before the answer's last byte is sent."""
        self.status, self.body, self.answered_at = status, _decoded(body), datetime.now(UTC)


def parse_head(head: bytes) -> tuple[str, dict[str, str]]:
    """The first line, and the headers with their names in lower case."""
    line, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (text.partition(":") for text in lines)
    return line, {name.strip().lower(): value.strip() for name, _, value in pairs}


def _decoded(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return body
