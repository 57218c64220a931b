"""A real PostgreSQL for the tests, and a fresh database for each.

    url = await server.create_database(template)         some 30 ms; `drop_database(url)`
    await server.kill(); await server.start()            SIGKILL; and `restart()`, a fast one
    server.pause(); server.resume()                      SIGSTOP, SIGCONT, of all its processes
    await server.set_read_only(True)                     what a failover looks like to a client

The session's own server (fixture `postgres`) is everybody's: to harm one, ask for `private_postgres`.
"""

import asyncio
import contextlib
import itertools
import os
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from deploy.postgres import Cluster
from shared.database import migrate
from tests.support.remains import descendants, living, remove

_READY_SECONDS = 60.0
_SETTINGS = (
    "fsync=off",  # a killed server loses nothing by that, only a machine would
    "full_page_writes=off",
    "max_connections=200",
    "wal_level=minimal",
    "max_wal_senders=0",
    "dynamic_shared_memory_type=mmap",  # nothing of a killed one stays in /dev/shm
)

PlatformVariant = Literal["text", "enum"]


class PostgresServer:
    """A cluster below `directory`, running from entering to leaving, as durable as a test needs.

    `environment` is for a FakeClock's; `settings` are further `name=value`.
    """

    def __init__(
        self, directory: Path, *, settings: tuple[str, ...] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._log = directory / "log"
        self._environment = {"PATH": os.environ.get("PATH", os.defpath), **(environment or {})}
        self._cluster = Cluster(directory / "cluster", settings=(*_SETTINGS, *settings))
        self._process: asyncio.subprocess.Process | None = None
        self._names = itertools.count(1)

    @property
    def url(self) -> str:
        """Of the database `postgres`; the role is a superuser."""
        return self._cluster.url

    @property
    def pid(self) -> int:
        """Of the postmaster. Raises RuntimeError if there is none."""
        if self._process is None:
            raise RuntimeError("PostgreSQL does not run")
        return self._process.pid

    async def start(self) -> None:
        """Start it and wait until it takes connections."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._cluster.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        deadline = asyncio.get_running_loop().time() + _READY_SECONDS
        while not self._cluster.is_ready(self.pid):
            if self._process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {self._log.read_text()[-2000:]}")
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """A fast shutdown: connections are ended, the socket file goes."""
        await self._end(signal.SIGINT)

    async def kill(self) -> None:
        """SIGKILL, as of a crash; the socket file stays, and the next start recovers."""
        await self._end(signal.SIGKILL)

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    def pause(self) -> None:
        """SIGSTOP: connections are accepted and nothing is ever answered, to old ones neither."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    async def set_read_only(self, read_only: bool) -> None:
        """Refuse every write with SQLSTATE 25006, in old sessions too, while reads go on."""
        await self.execute(
            f"ALTER SYSTEM SET default_transaction_read_only = {read_only}", "SELECT pg_reload_conf()"
        )
        async with asyncio.timeout(_READY_SECONDS):
            while await self._shown("default_transaction_read_only") != ("on" if read_only else "off"):
                await asyncio.sleep(0.01)

    async def create_database(self, *, template: str | None = None) -> str:
        """A new database, a copy of the one that the url `template` names, and its url."""
        name = f"test_{next(self._names)}"
        source = f"TEMPLATE {_name(template)} STRATEGY FILE_COPY" if template else ""
        await self.execute(f"CREATE DATABASE {name} {source}")
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    async def create_migrated_database(self) -> str:
        """A new database with our schema in it, made from nothing."""
        url = await self.create_database()
        async with connected(url) as connection:
            await migrate(connection)
        return url

    async def create_platform_database(self, variant: PlatformVariant) -> str:
        """A new database as a platform server leaves it, not migrated by us: see `platform_schema`."""
        url = await self.create_database()
        async with connected(url) as connection:
            await connection.execute(platform_schema(variant))
        return url

    async def drop_database(self, url: str) -> None:
        """Whoever is still connected is thrown out."""
        await self.execute(f"DROP DATABASE IF EXISTS {_name(url)} WITH (FORCE)")

    async def execute(self, *statements: str) -> None:
        """As superuser, in the database `postgres`, each in a transaction of its own."""
        async with connected(self.url) as connection:
            await connection.execute("SET default_transaction_read_only = off")
            for statement in statements:
                await connection.execute(statement)

    async def __aenter__(self) -> Self:
        self._cluster.prepare()
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.resume()
            await self.stop()
        await asyncio.to_thread(remove, self._directory)

    async def _shown(self, setting: str) -> object:
        async with connected(self.url) as connection:
            return await connection.fetchval(f"SHOW {setting}")

    def _signal_all(self, number: signal.Signals) -> None:
        """The postmaster first: once it is stopped, it makes no further children."""
        for pid in (self.pid, *descendants(self.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        children = set(descendants(process.pid))
        process.send_signal(number)
        await asyncio.wait_for(process.wait(), _READY_SECONDS)
        while living().keys() & children:  # they notice, and let go of the shared memory
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """One connection, for as long as the `with` lasts."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


def platform_schema(variant: PlatformVariant) -> str:
    """The SQL of a platform database: more columns than we know, tables named like ours, no schema of ours.

    `text`: the status is text and all three shared tables are there. `enum`: the status is of the type
    workspace_status, of the newer platform versions, and org_plugin_allowlist is missing.
    """
    enum = variant == "enum"
    return "\n".join(
        [
            _STATUS_TYPE if enum else "",
            _PLATFORM.format(status="workspace_status" if enum else "text"),
            "" if enum else _ALLOWLIST,
        ]
    )


def _name(url: str) -> str:
    return urlsplit(url).path.strip("/")


_STATUS_TYPE = """
CREATE TYPE workspace_status AS ENUM (
    'provisioning', 'online', 'degraded', 'offline', 'failed', 'paused', 'hibernating', 'hibernated',
    'awaiting_agent', 'removed'
);
"""

_PLATFORM = """
CREATE TABLE public.schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL);
INSERT INTO public.schema_migrations VALUES (42, false);
CREATE TABLE public.workspaces (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    role text,
    tier integer NOT NULL DEFAULT 1,
    status {status} NOT NULL DEFAULT 'provisioning',
    source_bundle_id text,
    agent_card jsonb,
    url text,
    parent_id uuid REFERENCES public.workspaces (id),
    forwarded_to uuid REFERENCES public.workspaces (id),
    last_heartbeat_at timestamptz,
    last_error_rate double precision DEFAULT 0,
    last_sample_error text,
    active_tasks integer DEFAULT 0,
    uptime_seconds integer DEFAULT 0,
    current_task text DEFAULT '',
    runtime text DEFAULT 'langgraph',
    workspace_dir text,
    instance_id text,
    monthly_spend bigint NOT NULL DEFAULT 0,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);
CREATE INDEX idx_workspaces_status ON public.workspaces (status);
CREATE TABLE public.workspace_auth_tokens (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id uuid NOT NULL REFERENCES public.workspaces (id) ON DELETE CASCADE,
    token_hash bytea NOT NULL,
    prefix text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    revoked_at timestamptz
);
CREATE TABLE public.workspace_plugins (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id uuid NOT NULL REFERENCES public.workspaces (id) ON DELETE CASCADE,
    plugin_name text NOT NULL,
    source_raw text NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, plugin_name)
);
"""

_ALLOWLIST = """
CREATE TABLE public.org_plugin_allowlist (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL REFERENCES public.workspaces (id) ON DELETE CASCADE,
    plugin_name text NOT NULL,
    enabled_by text NOT NULL,
    enabled_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, plugin_name)
);
"""
