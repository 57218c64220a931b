"""The api's memory does not grow with what goes through it."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.ground import Ground, playground
from tests.support.api import Api
from tests.support.engine import DockerEngine
from tests.support.memory import Peak

SIZE = 90 * 2**20
MOST = 64 * 2**20
CLIENTS = 16


@pytest.fixture(scope="module")
async def ground(
    module_database_url: str, docker_engine: DockerEngine, module_directory: Path
) -> AsyncIterator[Ground]:
    """Everything was done once, so that what is loaded when first needed is there."""
    async with playground(module_database_url, docker_engine, module_directory) as ground:
        ground.plugin("small", {"plugin.yaml": b"version: 1"})
        ground.plugin("large", {"plugin.yaml": b"version: 1", "noise": random.randbytes(SIZE)})
        workspace = await ground.workspace()
        assert (await ground.install(workspace, "small")).status == 200
        assert await pull(ground.api, workspace.id, "small") > 0
        yield ground


async def pull(api: Api, workspace: str, name: str) -> int:
    """Download a plugin as an agent does that keeps it elsewhere; its size."""
    size = 0
    request = api.session.get(
        f"/workspaces/{workspace}/plugins/{name}/download",
        headers={"Authorization": f"Bearer {api.admin_token}"},
    )
    async with request as response:
        assert response.status == 200
        async for piece in response.content.iter_any():
            size += len(piece)
        assert size == response.content_length
    return size


async def test_a_large_install(ground: Ground) -> None:
    workspace = await ground.workspace()
    peak = Peak(ground.api.pid)
    assert (await ground.install(workspace, "large")).status == 200
    assert peak.growth() <= MOST


async def test_many_large_downloads_at_once(ground: Ground) -> None:
    workspace = await ground.row()
    peak = Peak(ground.api.pid)
    sizes = await asyncio.gather(*(pull(ground.api, workspace, "large") for _ in range(CLIENTS)))
    assert len(set(sizes)) == 1
    assert sizes[0] > SIZE
    assert peak.growth() <= MOST


async def test_an_exec_without_end(ground: Ground) -> None:
    workspace = await ground.workspace()
    await workspace.write("/bin/talk", b"#!/bin/busybox yes\n", mode=0o755)
    await workspace.run("ln", "-sf", "/bin/talk", "/bin/sh")
    peak = Peak(ground.api.pid)
    answer = await ground.install(workspace, "small")
    assert (answer.status, answer.json["code"]) == (500, "copy_failed")
    assert peak.growth() <= 2 * MOST
    await workspace.container.remove()
