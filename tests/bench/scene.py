"""What the api's benchmarks need: both servers, and nginx, with the same agents, plugins and container."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import UUID

import asyncpg

from shared.ids import container_name
from tests.api.ground import Workspace
from tests.api.stage import Agent, add_agent
from tests.bench.sizes import PluginSizes, Sizes
from tests.support.api import Api, free_port, running_api
from tests.support.engine import RealEngine
from tests.support.nginx import Nginx, running_nginx
from tests.support.postgres import PostgresServer, connected
from tests.support.processes import ServiceProcess

DOWNLOADED, INSTALLED = "downloaded", "installed"
_MB = 10**6
_NGINX = "server {{ listen 127.0.0.1:{port}; root {root}; sendfile on; keepalive_requests 100000; }}"
_LIST_OF_PLUGINS = """
mkdir -p /configs/plugins && cd /configs/plugins || exit 1
for number in $(seq "$0"); do
    mkdir -p "plugin-$number"
    printf 'version: 1.0.%d\\ndescription: number %d\\nruntimes: [langgraph]\\nskills: [a, b]\\n' \
        "$number" "$number" >"plugin-$number/plugin.yaml"
done
chown -R 1000:1000 /configs
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Who is there."""

    ours: Api
    reference: ServiceProcess
    reference_port: int
    nginx: Nginx
    connection: asyncpg.Connection
    registry: Path
    agents: Sequence[Agent]
    """External ones, with a token each."""
    inhabited: Agent
    container: Workspace
    """The container of `inhabited`, with plugins in it."""


@asynccontextmanager
async def staged(
    engine: RealEngine, postgres: PostgresServer, directory: Path, sizes: Sizes
) -> AsyncIterator[Scene]:
    """Everything, running; what downloads serve was written long enough ago for our api to trust it."""
    registry = directory / "plugins"
    make_plugin(registry / DOWNLOADED, sizes.downloaded)
    make_plugin(registry / INSTALLED, sizes.installed)
    url = await postgres.create_migrated_database()
    port, nginx_port = free_port(), free_port()
    environment = {"DATABASE_URL": url, "DOCKER_HOST": engine.host, "PLUGINS_DIR": str(registry)}
    reference = ServiceProcess("tests.bench.reference_api", {**environment, "PORT": str(port)})
    async with (
        connected(url) as connection,
        running_api(environment, directory / "api") as ours,
        reference,
        running_nginx(
            directory, _NGINX.format(port=nginx_port, root=ours.home / "cache"), port=nginx_port
        ) as nginx,
    ):
        await reference.event("process.started")
        inhabited = await add_agent(connection)
        container = await engine.container(container_name(UUID(inhabited.id)))
        workspace = Workspace(inhabited.id, container)
        code, output = await workspace.run("sh", "-c", _LIST_OF_PLUGINS, str(sizes.plugins))
        assert code == 0, output
        yield Scene(
            ours=ours,
            reference=reference,
            reference_port=port,
            nginx=nginx,
            connection=connection,
            registry=registry,
            agents=[await add_agent(connection, runtime="external") for _ in range(sizes.beating)],
            inhabited=inhabited,
            container=workspace,
        )


def make_plugin(root: Path, sizes: PluginSizes) -> None:
    """A plugin of so much noise and so much text."""
    random = Random(1)
    words = [random.randbytes(random.randrange(1, 6)).hex() for _ in range(2000)]
    text = " ".join(random.choices(words, k=200_000))[:_MB]
    root.mkdir(parents=True)
    (root / "plugin.yaml").write_text(f"name: {root.name}\nversion: 1.0.0\n")
    for number in range(sizes.noise_mb):
        (root / f"noise-{number}").write_bytes(random.randbytes(_MB))
    for number in range(sizes.text_mb):  # gzip does not look back far enough to see that they are the same
        (root / f"text-{number}").write_text(text)
