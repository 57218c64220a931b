"""The two nginx examples of docs/api.md, in a real nginx."""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.api.conftest import StartApi
from tests.api.stage import Agent, add_agent
from tests.support.api import Api, free_port
from tests.support.nginx import running_nginx
from tests.support.postgres import connected
from tests.support.processes import CHECKOUT

OURS = (
    "/plugins",
    "/plugins?runtime=hermes",
    "/plugins/sources",
    "/workspaces/x/plugins",
    "/workspaces/x/plugins/",
    "/workspaces/x/plugins/available",
    "/workspaces/x/plugins/compatibility?runtime=hermes",
    "/workspaces/x/plugins/hello",
    "/workspaces/x/plugins/hello/download?source=hello",
    "/orgs/x/plugins/allowlist",
)
THEIRS = (
    "/",
    "/health",
    "/pluginsfoo",
    "/workspaces",
    "/workspaces/x",
    "/workspaces/x/state",
    "/workspaces/x/pluginsfoo",
    "/workspaces/plugins",
    "/orgs/x/plugins",
    "/registry/heartbeat",
)


def examples() -> tuple[str, str]:
    """The one that adds a token, and the one beside a platform server."""
    adding, beside = re.findall(r"```nginx\n(.*?)```", (CHECKOUT / "docs" / "api.md").read_text(), re.DOTALL)
    return adding, beside


@asynccontextmanager
async def nginx(directory: Path, example: str, changes: dict[str, str]) -> AsyncIterator[str]:
    """The url of an nginx with this example; `changes` are what stands in it, and what is true here."""
    listened = re.search(r"listen 127\.0\.0\.1:\d+;", example)
    assert listened
    port = free_port()
    for old, new in {listened[0]: f"listen 127.0.0.1:{port};", **changes}.items():
        assert old in example
        example = example.replace(old, new)
    async with running_nginx(directory, example, port=port) as server:
        yield server.url


@pytest.fixture
async def agent(api: Api) -> AsyncIterator[Agent]:
    async with connected(api.environment["DATABASE_URL"]) as connection:
        yield await add_agent(connection, runtime="external")


async def test_the_one_that_adds_a_token(api: Api, agent: Agent, short_directory: Path) -> None:
    adding, _ = examples()
    changes = {
        "127.0.0.1:8080": api.url.removeprefix("http://"),
        "THE_WORKSPACES_TOKEN": agent.token,
    }
    async with nginx(short_directory, adding, changes) as url, aiohttp.ClientSession() as session:
        for headers in ({}, {"Authorization": "Bearer something else"}):
            async with session.get(f"{url}/workspaces/{agent.id}/state", headers=headers) as response:
                assert (response.status, (await response.json())["workspace_id"]) == (200, agent.id)
        async with session.get(f"{url}/workspaces") as response:
            assert response.status == 401, "the token of a workspace is not the operator's"


async def test_the_one_beside_a_platform_server(start_api: StartApi, short_directory: Path) -> None:
    _, beside = examples()
    port = free_port()

    async def platform(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.method} {request.path_qs}", headers={"X-Platform": "yes"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", platform)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        async with start_api(TRUSTED_PROXIES="127.0.0.1") as api:
            changes = {
                "127.0.0.1:8000": f"127.0.0.1:{port}",
                "127.0.0.1:8080": api.url.removeprefix("http://"),
            }
            async with nginx(short_directory, beside, changes) as url:
                await check_routing(url)
                await check_download(url, api)
    finally:
        await runner.cleanup()


async def check_routing(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        for method in ("GET", "POST", "DELETE"):
            for path in OURS:
                async with session.request(method, url + path) as response:
                    assert "X-Platform" not in response.headers, f"{method} {path}"
                    assert "X-Request-Id" in response.headers, f"{method} {path}"
            for path in THEIRS:
                async with session.request(method, url + path) as response:
                    assert await response.text() == f"{method} {path}"


async def check_download(url: str, api: Api) -> None:
    async with connected(api.environment["DATABASE_URL"]) as connection:
        agent = await add_agent(connection, runtime="external")
    shutil.copytree(
        CHECKOUT / "docs" / "plugins",
        Path(api.environment["HEALTHSWEEP_HOME"]) / "plugins",
        dirs_exist_ok=True,
    )
    path = f"{agent.plugins}/hello/download"
    direct = await api.call("GET", path, token=agent.token)
    own = {"Authorization": f"Bearer {agent.token}"}
    async with aiohttp.ClientSession(url, headers=own) as session:
        async with session.get(path) as response:
            assert (response.status, await response.read()) == (200, direct.body)
        async with session.get(path, headers={"Range": "bytes=10-19"}) as response:
            assert (response.status, await response.read()) == (206, direct.body[10:20])
        async with session.get(path, headers={"If-None-Match": direct.headers["ETag"]}) as response:
            assert response.status == 304
