"""A fleet on a stage: rows in a real PostgreSQL, containers on a fake daemon, one Sweeper and its log.

    workspace = await scene.add("online", container=State("exited", exit_code=137))
    await scene.sweep()                            graces waited for
    assert await scene.status(workspace) == "offline"
    assert scene.events("workspace.marked_offline", workspace_id=str(workspace), exit_code=137)
    scene.restart(SWEEP_WRITE="off")               a new Sweeper, which remembers nothing

Rows are written here as another program would write them: no history but where `reason` asks for it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from structlog.contextvars import clear_contextvars, merge_contextvars
from structlog.testing import capture_logs

from shared.database import Database
from shared.engine import Engine
from shared.ids import container_name, short_container_name
from shared.settings import Settings
from sweeper.store import SweepStore
from sweeper.sweep import Report, Sweeper
from tests.support.daemon import FakeDaemon, State
from tests.support.postgres import connected
from tests.support.rows import add_row

LogEvent = MutableMapping[str, Any]

QUICK = {
    "SWEEP_INTERVAL": "5",
    "OFFLINE_GRACE": "0",
    "ONLINE_GRACE": "0",
    "ENGINE_TIMEOUT": "3",
    "REMOTE_LIVENESS_STALE_AFTER": "180",
}


class Scene:
    """See the module. `daemon`, `connection` (the test's own) and `sweeper` are there to be used."""

    def __init__(
        self,
        *,
        daemon: FakeDaemon,
        connection: asyncpg.Connection,
        engine: Engine,
        database: Database,
        log: list[LogEvent],
        url: str,
    ) -> None:
        self.daemon = daemon
        self.connection = connection
        self.url = url
        self.log = log
        self.database = database
        self._engine = engine
        self.restart()

    def restart(self, **environment: str) -> Sweeper:
        """A new Sweeper, with QUICK and `environment` for its settings."""
        self.settings = Settings.load({**QUICK, **environment})
        self.store = SweepStore(self.database, unswept_runtimes=self.settings.unswept_runtimes)
        self.sweeper = Sweeper(engine=self._engine, store=self.store, settings=self.settings)
        return self.sweeper

    async def add(
        self,
        status: str = "online",
        *,
        workspace_id: UUID | None = None,
        reason: str | None = None,
        runtime: str | None = "langgraph",
        name: str | None = "somebody",
        container: State | None = None,
        short: State | None = None,
    ) -> UUID:
        """A row, with a history row for `reason` if there is one, and with its container, if there is one.

        `short` is a container under the name that older platform versions gave.
        """
        workspace_id = workspace_id or uuid4()
        told = None if reason is None else (None, reason)
        await add_row(self.connection, status, id=workspace_id, name=name, runtime=runtime, told=told)
        self.put(workspace_id, container)
        if short is not None:
            self.daemon.containers[short_container_name(workspace_id)] = short
        return workspace_id

    async def server_is_up_for(self, seconds: float) -> float:
        """Wait until PostgreSQL is up for as long; how long it is. Silence is not counted from before."""
        up: float = await self.connection.fetchval(
            "SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8"
        )
        await asyncio.sleep(max(0.0, seconds - up))
        return max(seconds, up)

    @asynccontextmanager
    async def other_timeout(self, seconds: float, **environment: str) -> AsyncIterator[None]:
        """Sweep with this ENGINE_TIMEOUT, and with `environment`."""
        usual = self._engine
        async with Engine(self.daemon.host, timeout=seconds) as self._engine:
            self.restart(ENGINE_TIMEOUT=str(seconds), **environment)
            yield
        self._engine = usual

    async def tell(self, workspace_id: UUID, status: str, reason: str) -> None:
        """A history row, as of a transition to `status`."""
        await self.connection.execute(
            "INSERT INTO healthsweep.history (workspace_id, to_status, reason, detected_by)"
            " VALUES ($1, $2, $3, 'test')",
            workspace_id,
            status,
            reason,
        )

    def put(self, workspace_id: UUID, container: State | None) -> None:
        """Replace the workspace's container; None: there is none."""
        self.daemon.containers.pop(container_name(workspace_id), None)
        if container is not None:
            self.daemon.containers[container_name(workspace_id)] = container

    async def write(self, workspace_id: UUID, **columns: object) -> None:
        """Update columns of the row, as another program would; SQL text stands for itself."""
        assignments = ", ".join(f"{column} = {value}" for column, value in columns.items())
        await self.connection.execute(
            f"UPDATE public.workspaces SET {assignments} WHERE id = $1", workspace_id
        )

    async def sweep(self, *, force: bool = False, after_outage: bool = False) -> Report:
        """One sweep, with the graces that it starts."""
        await self.sweeper.sweep(force=force, after_outage=after_outage)
        return await self.settle()

    async def settle(self) -> Report:
        """Wait for the graces that run, and end the sweep."""
        while (due := self.sweeper.next_due()) is not None:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self.sweeper.settle()
        return self.sweeper.complete()

    async def status(self, workspace_id: UUID) -> str:
        status = await self.connection.fetchval(
            "SELECT status::text FROM public.workspaces WHERE id = $1", workspace_id
        )
        assert isinstance(status, str)
        return status

    async def history(self, workspace_id: UUID) -> list[Mapping[str, Any]]:
        """Oldest first."""
        rows = await self.connection.fetch(
            "SELECT * FROM healthsweep.history WHERE workspace_id = $1 ORDER BY id", workspace_id
        )
        return [dict(row) for row in rows]

    def events(self, name: str, **keys: object) -> list[LogEvent]:
        """The lines of this event that carry all of `keys`."""
        return [
            line
            for line in self.log
            if line["event"] == name and all(line.get(key) == value for key, value in keys.items())
        ]


@asynccontextmanager
async def staged(url: str, directory: Path) -> AsyncIterator[Scene]:
    """A scene on the database that `url` names, which has been migrated."""
    settings = Settings.load(QUICK)
    with capture_logs(processors=[merge_contextvars]) as log:
        async with (
            FakeDaemon(directory / "docker.sock") as daemon,
            Engine(daemon.host, timeout=settings.engine_timeout) as engine,
            Database(url, application="healthsweep-sweeper") as database,
            connected(url) as connection,
        ):
            yield Scene(
                daemon=daemon, connection=connection, engine=engine, database=database, log=log, url=url
            )
    clear_contextvars()
