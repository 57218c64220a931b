"""A thousand slow or half-open connections, and those who have honest questions meanwhile."""

import asyncio
import resource
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from deploy.children import tied
from tests.api.conftest import StartApi
from tests.api.stage import Agent, add_agent
from tests.support.api import Api
from tests.support.postgres import connected
from tests.support.processes import CHECKOUT

SLOW = 1000
ROUNDS = 5
REQUESTS = 300
AT_ONCE = 4
MOST = 2.0


@pytest.fixture
def few_files() -> Iterator[None]:
    """Fewer open files than there are slow clients, at first."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.timeout(600)
async def test_they_wait_at_most_twice_as_long(start_api: StartApi, few_files: None) -> None:
    """p95 of 300 requests, the median of five rounds without and five with, in turn."""
    async with start_api() as api:
        async with connected(api.environment["DATABASE_URL"]) as connection:
            agent = await add_agent(connection)
        await p95(api, agent)  # connections and caches
        alone, among = [], []
        for _ in range(ROUNDS):
            alone.append(await p95(api, agent))
            async with slow_clients(api):
                among.append(await p95(api, agent))
    ratio = statistics.median(among) / statistics.median(alone)
    assert ratio <= MOST, f"{ratio:.2f}: p95 in seconds {alone}, among slow ones {among}"


async def p95(api: Api, agent: Agent) -> float:
    """Of REQUESTS honest ones, AT_ONCE at a time, in seconds."""
    headers = {"Authorization": f"Bearer {agent.token}"}
    seconds: list[float] = []

    async def ask() -> None:
        while len(seconds) < REQUESTS:
            started = time.perf_counter()
            async with api.session.get(f"/workspaces/{agent.id}/state", headers=headers) as response:
                assert response.status == 200
                await response.read()
            seconds.append(time.perf_counter() - started)

    await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
    return statistics.quantiles(seconds, n=20)[-1]


@asynccontextmanager
async def slow_clients(api: Api) -> AsyncIterator[None]:
    """A thousand of them, in a process of their own; they are all still there at the end."""
    arguments = [sys.executable, "-m", "tests.api.slow_clients", str(urlsplit(api.url).port), str(SLOW)]
    process = await asyncio.create_subprocess_exec(
        *tied(arguments, death_signal="KILL"),
        cwd=CHECKOUT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdin
        assert process.stdout
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"ready\n"
        yield
        process.stdin.close()
        async with asyncio.timeout(60):
            assert int(await process.stdout.readline()) == SLOW
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
