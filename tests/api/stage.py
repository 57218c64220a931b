"""A stage for requests about plugins: an api of its own, a fake daemon, and agents with tokens.

    agent = await stage.agent(runtime="external")
    asked = await stage.ask("POST", f"/workspaces/{agent.id}/plugins", {"source": "p"}, token=agent.token)
    assert asked.status == 422
    assert asked.events == ["request.completed"]

Rows are written as another program would write them, so that a runtime can be NULL or a word never heard of.
"""

import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from tests.support.api import Answer, Api, running_api
from tests.support.daemon import FakeDaemon, State
from tests.support.postgres import connected
from tests.support.processes import LogLine
from tests.support.rows import add_row, add_token

ENGINE_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Agent:
    """A workspace, and a live token of it."""

    id: str
    token: str

    @property
    def plugins(self) -> str:
        """The path of its plugins."""
        return f"/workspaces/{self.id}/plugins"

    @property
    def container(self) -> str:
        return f"ws-{self.id}"

    @property
    def short_container(self) -> str:
        """The name that older platform versions gave."""
        return f"ws-{self.id[:12]}"


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer, how long it took, and the lines that the api logged for it, in their order."""

    answer: Answer
    seconds: float
    lines: list[LogLine]

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def json(self) -> Any:
        return self.answer.json

    @property
    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]

    def error(self) -> dict[str, Any]:
        """The body of an error, without what differs from request to request."""
        body: dict[str, Any] = self.answer.json
        return {key: value for key, value in body.items() if key != "request_id"}


class Stage:
    """See the module."""

    def __init__(self, api: Api, daemon: FakeDaemon, connection: asyncpg.Connection) -> None:
        self.api = api
        self.daemon = daemon
        self.connection = connection

    async def agent(
        self,
        *,
        runtime: str | None = "langgraph",
        status: str = "online",
        workspace_id: UUID | None = None,
        container: State | None = None,
    ) -> Agent:
        """A row with this runtime (None is NULL), its token, and its container if there is one."""
        agent = await add_agent(self.connection, runtime=runtime, status=status, workspace_id=workspace_id)
        if container is not None:
            self.daemon.containers[agent.container] = container
        return agent

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Asked:
        """Ask, and wait for all that the api logs about it."""
        return await ask(self.api, method, path, body, token=token, headers=headers)


async def ask(
    api: Api,
    method: str,
    path: str,
    body: object = None,
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Asked:
    """See Stage.ask."""
    request_id = secrets.token_hex(8)
    started = time.monotonic()
    answer = await api.call(
        method, path, body, token=token, headers={"X-Request-Id": request_id, **(headers or {})}
    )
    seconds = time.monotonic() - started
    await api.event("request.completed", request_id=request_id)
    lines = [line for line in api.lines if line.get("request_id") == request_id]
    return Asked(answer, seconds, lines)


async def add_agent(
    connection: asyncpg.Connection,
    *,
    runtime: str | None = "langgraph",
    status: str = "online",
    workspace_id: UUID | None = None,
) -> Agent:
    """See Stage.agent."""
    row = await add_row(connection, status, runtime=runtime, id=workspace_id or uuid4())
    return Agent(row, await add_token(connection, row))


@asynccontextmanager
async def staged(url: str, directory: Path, **environment: str) -> AsyncIterator[Stage]:
    """A stage on the migrated database `url`; the daemon's record is empty when it begins."""
    async with FakeDaemon(directory / "docker.sock") as daemon, connected(url) as connection:
        own = {
            "DATABASE_URL": url,
            "DOCKER_HOST": daemon.host,
            "ENGINE_TIMEOUT": str(ENGINE_TIMEOUT_S),
            **environment,
        }
        async with running_api(own, directory / "api") as api:
            daemon.reset()
            yield Stage(api, daemon, connection)
            assert not api.noise, "something that is no JSON was printed"
