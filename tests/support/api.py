"""The api as a process of its own, called over HTTP as any client would.

async with running_api({"DATABASE_URL": database_url, "DOCKER_HOST": proxy.host}, directory) as api:
    answer = await api.call("POST", "/workspaces", {"name": "a"}, token=api.admin_token)
    assert (answer.status, answer.json["status"]) == (201, "offline")
    assert api.events("request.completed", route="/workspaces", status=201)

It is a ServiceProcess too: `events`, `event`, `position`, `lines`, `noise`, `send_signal`, `status`.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp

from tests.support.description import DESCRIPTION
from tests.support.processes import CHECKOUT, ServiceProcess

ADMIN_TOKEN = "the-operators-own-token"

_READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Api(ServiceProcess):
    """See the module. `url` is where it listens, `home` where its files are, `environment` what it got."""

    def __init__(self, environment: Mapping[str, str], *, passed: socket.socket | None = None) -> None:
        super().__init__("api", environment, passed=passed)
        self.environment = environment
        self.admin_token = environment["ADMIN_TOKEN"]
        port = passed.getsockname()[1] if passed else environment["PORT"]
        self.url = f"http://127.0.0.1:{port}"
        self.home = Path(environment["HEALTHSWEEP_HOME"])

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.session = aiohttp.ClientSession(
            self.url,
            connector=aiohttp.TCPConnector(limit=0),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=60),
        )
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self.session.close()
        await super().__aexit__(*exc_info)

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer to a request; `body` is sent as it is where it is bytes, else as JSON, None is none.

        Raises AssertionError for an answer that api/openapi.yaml does not declare, and for an error that
        tells something of this host, a token or an exception.
        """
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if data is not None else {}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        request = self.session.request(
            method, path, data=data, headers={**sent, **(headers or {})}, allow_redirects=False
        )
        async with request as response:
            answer = Answer(response.status, response.headers, await response.read())
        DESCRIPTION.check(method, path, answer.status, answer.headers, answer.body)
        if answer.status >= 400:
            self._check_discretion(answer, token)
        return answer

    def _check_discretion(self, answer: Answer, token: str | None) -> None:
        hidden = ["DATABASE_URL", "DOCKER_HOST", "HEALTHSWEEP_HOME", "PLUGINS_DIR", "ADMIN_TOKEN"]
        told = {self.environment.get(name, "").removeprefix("unix://") for name in hidden}
        told |= {token or "", "Traceback", "Error(", "Exception", str(CHECKOUT)}
        for text in told:
            if len(text) > 5:
                assert text.encode() not in answer.body, f"{answer.body!r} tells {text}"

    async def until(self, path: str, status: int = 200) -> None:
        """Wait until `path` answers with `status`. Raises AssertionError with the log's end."""
        deadline = asyncio.get_running_loop().time() + _READY_SECONDS
        seen: object = None
        while seen != status:
            if self.status is not None or asyncio.get_running_loop().time() > deadline:
                end = "\n".join([*map(json.dumps, self.lines[-20:]), *self.noise[-20:]])
                raise AssertionError(f"{path} answered {seen}, never {status}; the end of the log:\n{end}")
            try:
                seen = (await self.call("GET", path)).status
            except aiohttp.ClientError as exc:
                seen = exc
            if seen != status:
                await asyncio.sleep(0.02)


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@asynccontextmanager
async def running_api(
    environment: Mapping[str, str],
    directory: Path,
    *,
    ready: bool = True,
    passed: socket.socket | None = None,
) -> AsyncIterator[Api]:
    """The api, with its home below `directory` and no rate limit unless `environment` says otherwise.

    `ready`: wait until it has its database, and not only until it listens. It serves at `passed` where given.
    """
    defaults = {
        "ADMIN_TOKEN": ADMIN_TOKEN,
        "PORT": str(free_port()),
        "RATE_LIMIT": "0",
        "HEALTHSWEEP_HOME": str(directory / "home"),
    }
    async with Api({**defaults, **environment}, passed=passed) as api:
        await api.until("/ready" if ready else "/health")
        if ready:
            await api.event("process.started")
        yield api
