"""Plugins in real containers, on dockerd and on Podman: what goes in is what is there, to the bit."""

import errno
import io
import random
import re
import shutil
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from api.archives import directory_header
from api.errors import CopyFailed
from api.plugins.container import PluginContainer
from api.plugins.install import Work, honest
from shared.engine import Engine
from shared.running import Running
from tests.api.ground import Content, Ground, playground
from tests.support.engine import DockerEngine, RealEngine
from tests.support.postgres import PostgresServer

MANIFEST = b"version: 1.0.0\nskills: [greet]\nruntimes: [claude_code]\n"
VARIED: dict[str, Content] = {
    "plugin.yaml": MANIFEST,
    "hooks/pre.sh": (b"#!/bin/sh\necho hi\n", 0o755),
    "hooks/group.sh": (b"#!/bin/sh\n", 0o750),
    ".claude/settings.json": b"{}",
    "rules/größe — 日本.md": "Grüße\n".encode(),
    "empty": b"",
    "bytes": bytes(range(256)) * 5,
    "a/b/c/d/" + "long-" * 30: b"deep",
}

CONTAINERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "configs is a volume": {"host": {"Mounts": [{"Type": "volume", "Target": "/configs"}]}},
    "read-only root": {
        "host": {"ReadonlyRootfs": True, "Mounts": [{"Type": "volume", "Target": "/configs"}]},
    },
    "another user": {"User": "1000:1000"},
}


@pytest.fixture(scope="module", params=["docker", "podman"])
def engine(processes: None, request: pytest.FixtureRequest) -> RealEngine:
    engine: RealEngine = request.getfixturevalue(f"{request.param}_engine")
    return engine


@pytest.fixture(scope="module")
async def ground(
    postgres: PostgresServer, migrated_database: str, engine: RealEngine, run_directory: Path
) -> AsyncIterator[Ground]:
    url = await postgres.create_database(template=migrated_database)
    async with playground(url, engine, run_directory / f"in-{type(engine).__name__}") as ground:
        yield ground
    await postgres.drop_database(url)


@pytest.mark.parametrize("kind", CONTAINERS)
async def test_round_trip(ground: Ground, kind: str) -> None:
    workspace = await ground.workspace(**CONTAINERS[kind])
    ground.plugin("varied", VARIED)
    answer = await ground.install(workspace, "local://varied")
    assert answer.status == 200, answer.body
    assert answer.json["status"] == "installed"
    assert answer.json["digest"].startswith("h1:")
    assert await workspace.tree("/configs/plugins/varied") == ground.expected("varied")
    (listed,) = await ground.installed(workspace)
    assert listed["name"] == "varied"
    assert listed["version"] == "1.0.0"
    assert listed["digest"] == answer.json["digest"]
    assert listed["supported_on_runtime"] is False

    answer = await ground.uninstall(workspace, "varied")
    assert (answer.status, answer.json) == (
        200,
        {"status": "uninstalled", "plugin": "varied", "restarting": False},
    )
    assert await ground.installed(workspace) == []
    assert await workspace.tree("/configs/plugins") == {}
    answer = await ground.uninstall(workspace, "varied")
    assert (answer.status, answer.json["code"]) == (404, "plugin_not_installed")


async def test_a_newer_version_leaves_nothing_of_the_older(ground: Ground) -> None:
    workspace = await ground.workspace()
    ground.plugin("p", {"old": b"1", "both": b"1", "hooks/x": (b"1", 0o755)})
    assert (await ground.install(workspace, "p")).status == 200
    await workspace.write("/configs/plugins/p/__pycache__/made-by-itself", b"x")
    ground.plugin("p", {"new": b"2", "both": b"2"})
    assert (await ground.install(workspace, "p")).status == 200
    assert await workspace.tree("/configs/plugins/p") == ground.expected("p")


async def test_many_files(ground: Ground) -> None:
    workspace = await ground.workspace()
    count = 5000 if isinstance(ground.engine, DockerEngine) else 50  # Podman takes its time for each
    ground.plugin("many", {f"d{number % 50}/f{number}": b"%d" % number for number in range(count)})
    assert (await ground.install(workspace, "many")).status == 200
    assert await workspace.tree("/configs/plugins/many") == ground.expected("many")


async def test_a_large_file(ground: Ground) -> None:
    workspace = await ground.workspace()
    ground.plugin("large", {"noise": random.randbytes(90 * 2**20)})
    assert (await ground.install(workspace, "large")).status == 200
    assert await workspace.tree("/configs/plugins/large") == ground.expected("large")


async def test_names_that_differ_only_by_case_are_refused(ground: Ground) -> None:
    workspace = await ground.workspace()
    ground.plugin("Tool", {"a": b"1"})
    ground.plugin("tool", {"a": b"2"})
    assert (await ground.install(workspace, "Tool")).status == 200
    answer = await ground.install(workspace, "tool")
    assert (answer.status, answer.json["error"]) == (400, "invalid plugin name")
    await ground.check_nothing_is_left()
    assert [plugin["name"] for plugin in await ground.installed(workspace)] == ["Tool"]


async def test_without_a_shell_it_has_its_own_code(ground: Ground) -> None:
    await _import_shell_less_image(ground.engine)
    workspace = await ground.workspace(image="shell-less", command=("/bin/sleep", "1000"))
    ground.plugin("p", {"a": b"1"})
    answer = await ground.install(workspace, "p")
    assert (answer.status, answer.json["code"]) == (500, "container_lacks_shell")
    assert answer.json["error"] == "failed to copy plugin to container"
    status, _ = await ground.engine.request(
        "GET", f"/containers/{workspace.container.id}/archive?path=/configs"
    )
    assert status == 404, "uploaded, and nobody can remove it"
    answer = await ground.call("GET", f"/workspaces/{workspace.id}/plugins")
    assert (answer.status, answer.json, answer.headers["X-Container-State"]) == (200, [], "unknown")
    line = await ground.api.event("plugin.list_failed", workspace_id=workspace.id)
    assert line["detail"] == "container_lacks_shell"


@pytest.mark.parametrize("configs", ["not there", "there"])
async def test_a_read_only_container_has_its_own_code(ground: Ground, tmp_path: Path, configs: str) -> None:
    (tmp_path / "plugins").mkdir()
    readable = {"ReadonlyRootfs": True} if configs == "not there" else {"Binds": [f"{tmp_path}:/configs:ro"]}
    workspace = await ground.workspace(host=readable)
    ground.plugin("p", {"a": b"1"})
    answer = await ground.install(workspace, "p")
    assert (answer.status, answer.json["code"]) == (500, "container_not_writable")
    for event in ("plugin.rolled_back", "plugin.install_failed"):
        line = await ground.api.event(event, workspace_id=workspace.id)
        assert (line["step"], line["code"]) == ("deliver", "container_not_writable")
    assert await ground.installed(workspace) == []


async def test_a_file_in_the_place_of_configs(ground: Ground) -> None:
    workspace = await ground.workspace()
    ground.plugin("p", {"a": b"1"})
    await workspace.run("touch", "/configs")
    answer = await ground.install(workspace, "p")
    assert (answer.status, answer.json["code"]) == (500, "container_not_writable")


async def test_where_a_mount_hides_uploads_no_more_than_one_is_left(ground: Ground) -> None:
    """Docker's archives lie below a tmpfs, where no program of the container can remove them."""
    workspace = await ground.workspace(host={"Tmpfs": {"/configs": ""}})
    ground.plugin("p", {"a": b"1"})
    async with Engine(ground.engine.host, timeout=10) as engine:
        below = [directory_header("configs"), directory_header("configs/plugins"), bytes(1024)]
        await engine.upload(workspace.container.id, "/", below, seconds=10)
    is_hidden, _ = await workspace.run("test", "!", "-e", "/configs/plugins")
    answers = [(await ground.install(workspace, "p")).json.get("code") for _ in range(3)]
    if is_hidden != 0:  # Podman's lie in it
        assert answers == [None] * 3
        return
    assert answers == ["container_not_writable"] * 3
    _, changes = await ground.engine.request("GET", f"/containers/{workspace.container.id}/changes")
    paths = [change["Path"] for change in changes]
    assert [re.fullmatch(r"/configs/plugins/\.staging/\w+", path) is not None for path in paths].count(
        True
    ) == 1


async def test_what_cannot_be_read_while_it_is_sent_leaves_nothing(ground: Ground) -> None:
    workspace = await ground.workspace()
    await workspace.run("mkdir", "-p", "/configs/plugins")

    def breaking(below: str) -> Iterator[bytes]:
        yield directory_header(f"{below}/a")
        raise OSError(errno.EIO, "Input/output error")

    work = Work(workspace_id=UUID(workspace.id), plugin="p", step="deliver", otherwise=CopyFailed())
    nobody: Any = None  # is asked: it is this host's doing
    async with Engine(ground.engine.host, timeout=10) as engine:
        plugins = PluginContainer(engine, Running(workspace.container.name, workspace.container.id))
        with pytest.raises(OSError, match="Input/output error"):
            async with honest(work, plugins, nobody, nobody):
                await plugins.stage("p", breaking)
    await ground.check_nothing_is_left()


async def test_what_a_list_shows_and_leaves_out(ground: Ground) -> None:
    workspace = await ground.workspace()
    root = "/configs/plugins"
    await workspace.write(f"{root}/good/plugin.yaml", b"version: '2'\ndescription: d\ntags: [a]\n")
    await workspace.write(f"{root}/broken/plugin.yaml", b"{{{")
    await workspace.write(f"{root}/bare/file", b"")
    await workspace.write(f"{root}/huge/plugin.yaml", b"version: '3'\n#" + b"x" * 200_000)
    await workspace.write(f"{root}/.hidden/plugin.yaml", b"version: '1'")
    await workspace.write(f"{root}/in valid/plugin.yaml", b"version: '1'")
    await workspace.write(f"{root}/file", b"")
    await workspace.run("ln", "-s", f"{root}/good", f"{root}/link")
    listed = {plugin["name"]: plugin for plugin in await ground.installed(workspace)}
    assert sorted(listed) == ["bare", "broken", "good", "huge"]
    assert listed["good"]["version"] == "2"
    assert listed["broken"]["version"] == ""
    assert listed["bare"]["tags"] == []


async def _import_shell_less_image(engine: RealEngine) -> None:
    packed = io.BytesIO()
    busybox = shutil.which("busybox")
    assert busybox
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(Path(busybox).resolve(), "bin/sleep")
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(engine.socket))) as session,
        session.post(
            "http://engine/images/create",
            params={"fromSrc": "-", "repo": "shell-less", "tag": "latest"},
            data=packed.getvalue(),
            headers={"Content-Type": "application/x-tar"},
        ) as response,
    ):
        assert response.status == 200, await response.text()
