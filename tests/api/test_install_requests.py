"""An install's request, before anything is done about it: bodies and sources that are none."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest

from tests.api.stage import Agent, Asked, add_agent, ask
from tests.support.api import Api
from tests.support.daemon import FakeDaemon, State

BODY_MAX = 65536
REQUIRED = '\'source\' is required (e.g. "local://my-plugin" or "github://owner/repo")'


@dataclass(frozen=True)
class Place:
    """A workspace with a container that runs."""

    api: Api
    daemon: FakeDaemon
    agent: Agent

    async def install(self, body: object) -> Asked:
        return await ask(self.api, "POST", self.agent.plugins, body, token=self.agent.token)

    @property
    def asked_docker(self) -> int:
        return sum(self.agent.id in exchange.path for exchange in self.daemon.requests)


@pytest.fixture
async def place(api: Api, api_daemon: FakeDaemon, database: asyncpg.Connection) -> Place:
    agent = await add_agent(database)
    api_daemon.containers[agent.container] = State()
    return Place(api, api_daemon, agent)


BAD_BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no json": b"source=p",
    "half of it": b'{"source": "p"',
    "no object": b'["p"]',
    "a text": b'"p"',
    "null": b"null",
    "many brackets": b"[" * 30_000,
    "many braces": b'{"a":' * 10_000,
    "duplicate keys": b'{"source": "p", "source": "q"}',
    "duplicate keys below": b'{"source": "p", "more": {"a": 1, "a": 1}}',
    "NaN": b'{"source": "p", "more": NaN}',
    "Infinity": b'{"source": "p", "more": -Infinity}',
    "a number without end": b'{"source": "p", "more": 1e999}',
    "a number of 5,000 digits": b'{"source": "p", "more": ' + b"9" * 5000 + b"}",
    "NUL escaped": b'{"source": "p\\u0000"}',
    "NUL": b'{"source": "p\0"}',
    "NUL in another key": b'{"source": "p", "more": "\\u0000"}',
    "half a character": b'{"source": "\\ud800"}',
    "no UTF-8": b'{"source": "\xff"}',
    "source is a number": b'{"source": 1}',
    "source is a list": b'{"source": ["p"]}',
    "source is true": b'{"source": true}',
    "restart is a text": b'{"source": "p", "restart": "false"}',
    "restart is a number": b'{"source": "p", "restart": 0}',
    "restart is null": b'{"source": "p", "restart": null}',
    "sha256 is a number": b'{"source": "p", "sha256": 1}',
    "sha256 is short": b'{"source": "p", "sha256": "abc"}',
    "sha256 is no hex": json.dumps({"source": "p", "sha256": "g" * 64}).encode(),
    "sha256 in Arabic": json.dumps({"source": "p", "sha256": "\u0661" * 64}).encode(),
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=list(BAD_BODIES))
async def test_a_body_that_is_none(place: Place, body: bytes) -> None:
    asked = await place.install(body)
    assert (asked.status, asked.json["error"]) == (400, "invalid request body")
    assert asked.json["code"] == "invalid_body"
    assert asked.events == ["request.completed"]
    assert place.asked_docker == 0


@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "with its length"])
async def test_a_body_over_the_limit_is_not_read(place: Place, chunked: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * BODY_MAX

    data: object = pieces() if chunked else b" " * (10 * BODY_MAX)
    request = place.api.session.post(
        place.agent.plugins, data=data, headers={"Authorization": f"Bearer {place.agent.token}"}
    )
    async with request as response:
        assert (response.status, (await response.json())["code"]) == (413, "body_too_large")


SOURCES = {
    "": (REQUIRED, "source_required"),
    " \t\n": (REQUIRED, "source_required"),
    "local://": ("invalid plugin source", "invalid_source"),
    "://p": ("invalid plugin source", "invalid_source"),
    "1st://p": ("invalid plugin source", "invalid_source"),
    "github://owner": ("invalid plugin source", "invalid_source"),
    "github://owner/repo#-upload-pack=x": ("invalid plugin source", "invalid_source"),
    "github://owner/repo/more#v1": ("invalid plugin source", "invalid_source"),
    "gitlab://owner/repo": ("failed to resolve plugin source", "unknown_scheme"),
    "file:///etc": ("failed to resolve plugin source", "unknown_scheme"),
    "local://../p": ("invalid plugin name", "invalid_plugin_name"),
    "local://a..b": ("invalid plugin name", "invalid_plugin_name"),
    "/etc/passwd": ("invalid plugin name", "invalid_plugin_name"),
    ".hidden": ("invalid plugin name", "invalid_plugin_name"),
    "-rf": ("invalid plugin name", "invalid_plugin_name"),
    "x" * 129: ("invalid plugin name", "invalid_plugin_name"),
    "größe": ("invalid plugin name", "invalid_plugin_name"),
    "p; rm -rf /": ("invalid plugin name", "invalid_plugin_name"),
}


@pytest.mark.parametrize("source", SOURCES)
async def test_a_source_that_is_none(place: Place, source: str) -> None:
    asked = await place.install({"source": source})
    error, code = SOURCES[source]
    assert (asked.status, asked.json["error"], asked.json["code"]) == (400, error, code)
    if code == "unknown_scheme":
        assert asked.json["available_schemes"] == ["github", "local"]
    assert place.asked_docker == 0
