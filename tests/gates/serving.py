"""The api itself, in its process, before a fake daemon: in its registry is one plugin, `hello`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.api.stage import Agent, Asked, add_agent, ask
from tests.support.api import Api, running_api
from tests.support.daemon import FakeDaemon
from tests.support.exchange import Request
from tests.support.postgres import connected
from tests.support.wire import Answer, Hook, Reply, Slow

_UPGRADED = (
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)


async def _archive(request: Request) -> Reply:
    """There is a shell and a directory for plugins, with nothing staged in it."""
    return Answer(404 if request.query["path"].endswith("/.staging") else 200)


_OBEDIENT: dict[str, Reply | Hook] = {
    "/containers/*/exec": Answer(201, {"Id": "e" * 64}),
    "/exec/*/start": Slow(0.1, _UPGRADED),  # until the whole request is there; then the output ends
    "/exec/*/json": Answer(200, {"Running": False, "ExitCode": 0, "ProcessConfig": {"tty": False}}),
    "/containers/*/archive": _archive,
}
"""Every script ends well and says nothing, every upload is taken."""


class Served(NamedTuple):
    """A workspace's plugin requests, with its own token."""

    api: Api
    agent: Agent

    async def ask(self, method: str, path: str = "", body: Any = None) -> Asked:
        return await ask(self.api, method, self.agent.plugins + path, body, token=self.agent.token)

    async def install(self) -> Asked:
        return await self.ask("POST", body={"source": "local://hello", "restart": False})

    async def uninstall(self) -> Asked:
        return await self.ask("DELETE", "/hello?restart=false")

    @property
    def staged(self) -> list[str]:
        """What is fetched at this moment."""
        return [path.name for path in (_home(self.api) / "staging").iterdir()]


@asynccontextmanager
async def serving(url: str, daemon: FakeDaemon, *, runtime: str = "langgraph") -> AsyncIterator[Served]:
    """The api, and a workspace of this runtime; what the api asked at its start is no more on record."""
    for pattern, reply in _OBEDIENT.items():
        daemon.answer(pattern, reply)
    environment = {"DATABASE_URL": url, "DOCKER_HOST": daemon.host, "ENGINE_TIMEOUT": "2"}
    async with connected(url) as connection, running_api(environment, daemon.path.parent / "api") as api:
        plugin = _home(api) / "plugins" / "hello"
        plugin.mkdir()
        (plugin / "greeting").write_text("hello\n")  # no plugin.yaml, which would be read back
        agent = await add_agent(connection, runtime=runtime)
        daemon.reset()
        yield Served(api, agent)
        assert not api.noise


def _home(api: Api) -> Path:
    return Path(api.environment["HEALTHSWEEP_HOME"])
