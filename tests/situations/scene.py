"""The stage of a situation: the product's processes on a real Docker Engine and a real PostgreSQL.

async with own_ground() as ground, Scene(ground, {}) as scene:
    workspace = await scene.workspace("mail-triage")
    await scene.all_online()
    await workspace.running.kill()
    await scene.sweeper.event("workspace.marked_offline", workspace_id=workspace.id)
    assert (await scene.install(workspace)).json["code"] == "container_not_running"
    print(*scene.log(), sep="\n")
"""

import itertools
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from uuid import NAMESPACE_DNS, UUID, uuid5

from shared.ids import container_name
from shared.tokens import issue_token
from shared.workspaces import NewWorkspace, add_workspace
from tests.support.api import Answer, Api, free_port, running_api
from tests.support.engine import Container, DockerEngine
from tests.support.postgres import PostgresServer, connected
from tests.support.processes import CHECKOUT, Ended, ServiceProcess, run_command
from tests.support.remains import private_directory

T = TypeVar("T")

HURRIED = {
    "SWEEP_INTERVAL": "1",
    "OFFLINE_GRACE": "0.2",
    "ONLINE_GRACE": "0.2",
    "ENGINE_TIMEOUT": "1",
    "REMOTE_LIVENESS_STALE_AFTER": "3",
}
"""Settings with which minutes become seconds."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace; its id is always that of its name. `container` is None where it has none."""

    id: str
    name: str
    token: str
    container: Container | None

    @property
    def running(self) -> Container:
        """The container. Raises AssertionError where there is none."""
        assert self.container, f"{self.name} has no container"
        return self.container


Onlooker = Callable[["Scene", Workspace], Awaitable[None]]


def id_of(name: str) -> UUID:
    """Always the same, so that what is kept can be compared."""
    return uuid5(NAMESPACE_DNS, f"{name}.example")


@dataclass(frozen=True, slots=True)
class Ground:
    """What all situations share, one after the other."""

    engine: DockerEngine
    postgres: PostgresServer
    directory: Path
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def place(self) -> Path:
        """A new directory, with a path that is short enough for sockets."""
        place = self.directory / f"s{next(self._numbers)}"
        place.mkdir()
        return place


@asynccontextmanager
async def own_ground() -> AsyncIterator[Ground]:
    """With an engine and a server that may be harmed."""
    with private_directory() as directory:
        async with PostgresServer(directory / "p") as postgres, DockerEngine(directory / "d") as engine:
            yield Ground(engine, postgres, directory)


class Scene:
    """See the module. `settings` differ from HURRIED; `onlooker` is called where `look` is."""

    def __init__(
        self, ground: Ground, settings: Mapping[str, str], *, onlooker: Onlooker | None = None
    ) -> None:
        self.engine = ground.engine
        self.postgres = ground.postgres
        self.place = ground.place()
        self.sweeper: ServiceProcess
        self.api: Api
        self._settings = settings
        self._onlooker = onlooker
        self._services: list[ServiceProcess] = []
        self._commands: list[tuple[datetime, str]] = []

    async def __aenter__(self) -> Self:
        self.url = await self.postgres.create_migrated_database()
        home = self.place / "home"
        self.environment = {
            **HURRIED,
            "DATABASE_URL": self.url,
            "DOCKER_HOST": self.engine.host,
            "HEALTHSWEEP_HOME": str(home),
            "PORT": str(free_port()),
            "METRICS_PORT": str(free_port()),
            **self._settings,
        }
        self.registry = home / "plugins"
        shutil.copytree(CHECKOUT / "docs" / "plugins", self.registry)
        self._entered = AsyncExitStack()
        await self.start_api()
        await self.start_sweeper()
        await self.sweeper.sweeps(1)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._make_well()
        await self._entered.aclose()
        await self.engine.remove_containers()
        await self.postgres.drop_database(self.url)

    async def _make_well(self) -> None:
        """Whatever is frozen or away lives again, for who comes next."""
        for harmed in (self.engine, self.postgres):
            try:
                harmed.resume()
            except RuntimeError:
                await harmed.start()

    async def start_sweeper(self, **settings: str) -> None:
        """One more, after the last one has ended; `settings` are those that are different now."""
        service = ServiceProcess("sweeper", {**self.environment, **settings})
        self.sweeper = await self.keep(service)
        self._services.append(self.sweeper)

    async def start_api(self, **settings: str) -> None:
        """Like start_sweeper."""
        self.api = await self.keep(running_api({**self.environment, **settings}, self.place))
        self._services.append(self.api)

    async def keep(self, entered: AbstractAsyncContextManager[T]) -> T:
        """Enter this until the stage is left."""
        return await self._entered.enter_async_context(entered)

    async def workspace(
        self, name: str, *, runtime: str = "langgraph", status: str = "offline", **how: Any
    ) -> Workspace:
        """A new workspace, as `healthsweep workspace add` makes it; `how` its container is, if it has one."""
        has_one = runtime != "external"
        container = await self.engine.container(container_name(id_of(name)), **how) if has_one else None
        return await self.row(name, container, runtime=runtime, status=status)

    async def row(
        self, name: str, container: Container | None, *, runtime: str = "langgraph", status: str = "offline"
    ) -> Workspace:
        """The row and its token; the container is there already."""
        workspace_id = id_of(name)
        new = NewWorkspace(id=workspace_id, name=name, runtime=runtime, status=status)
        async with connected(self.url) as connection, connection.transaction():
            await add_workspace(connection, new, detected_by="command", cause_id=None)
            issued = await issue_token(connection, workspace_id)
        return Workspace(str(workspace_id), name, issued.token, container)

    async def online(self, *names: str) -> list[Workspace]:
        """Workspaces with running containers, once the sweeper has marked all of them online."""
        workspaces = [await self.workspace(name) for name in names]
        for workspace in workspaces:
            await self.sweeper.event("workspace.marked_online", workspace_id=workspace.id)
        return workspaces

    async def connected(self, *names: str) -> list[Workspace]:
        """External workspaces that have called."""
        workspaces = [await self.workspace(name, runtime="external") for name in names]
        for workspace in workspaces:
            await self.beat(workspace)
        return workspaces

    async def beat(self, workspace: Workspace, **values: object) -> None:
        """A heartbeat of the workspace's agent."""
        body = {"workspace_id": workspace.id, "error_rate": 0.0, **values}
        answer = await self.api.call("POST", "/registry/heartbeat", body, token=workspace.token)
        assert answer.status == 200, answer.body

    async def install(self, workspace: Workspace, source: str = "local://hello", **body: Any) -> Answer:
        """What the operator gets who installs a plugin."""
        path = f"/workspaces/{workspace.id}/plugins"
        return await self.api.call("POST", path, {"source": source, **body}, token=self.api.admin_token)

    async def marked(self, status: Literal["online", "offline"], *workspaces: Workspace, after: int) -> None:
        """Wait until the sweeper says so of each, after that position of its log."""
        for workspace in workspaces:
            await self.sweeper.event(f"workspace.marked_{status}", after=after, workspace_id=workspace.id)

    async def command(self, *arguments: str) -> Ended:
        """`healthsweep arguments...`; what it logs is part of the log."""
        ended = await run_command(*arguments, environment=self.environment)
        self._commands += [(datetime.now(UTC), line) for line in ended.stderr.splitlines()]
        return ended

    async def look(self, workspace: Workspace) -> None:
        """Here it is worth a look at this workspace."""
        if self._onlooker:
            await self._onlooker(self, workspace)

    def log(self) -> list[str]:
        """All that was printed so far, the oldest first, with the paths and the port of a host."""
        timed = list(self._commands)
        for service in self._services:
            assert not service.noise, service.noise
            timed += [(line.received_at, json.dumps(line, ensure_ascii=False)) for line in service.lines]
        return [self.of_a_host(line) for _, line in sorted(timed, key=lambda pair: pair[0])]

    def of_a_host(self, text: str) -> str:
        """`text` as it would be on a host, where everything has its usual place."""
        port, metrics_port = self.environment["PORT"], self.environment["METRICS_PORT"]
        for here, there in (
            (str(self.place / "home"), "/var/lib/healthsweep"),
            (f"docker -H {self.engine.host} ", "docker "),  # what is said where DOCKER_HOST is the usual one
            (str(self.engine.socket), "/var/run/docker.sock"),
            (str(self.place), "/run"),
            (str(CHECKOUT), "/opt/healthsweep/current"),
            (f'"PORT": {port}', '"PORT": 8080'),
            (f":{port}", ":8080"),
            (f'"METRICS_PORT": {metrics_port}', '"METRICS_PORT": 9108'),
            (f":{metrics_port}", ":9108"),
        ):
            text = text.replace(here, there)
        return text
