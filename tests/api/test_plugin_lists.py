"""What lists say: of the registry, of containers in every state, of what was pulled."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.api.ground import Ground, Workspace
from tests.support.api import Answer
from tests.support.postgres import connected
from tests.support.proxy import RecordingProxy

FULL = """\
name: something else
version: 1.10
description: Größe
author: me
tags: [a, b]
skills: [greet, ../..]
runtimes: [claude-code, langgraph]
""".encode()
EMPTY = {"version": "", "description": "", "author": "", "tags": [], "skills": [], "runtimes": []}


@pytest.fixture
async def ground(module_ground: Ground, wire: RecordingProxy) -> Ground:
    """With three plugins in the registry: full, for claude-code and langgraph; hermes's; and bare."""
    shutil.rmtree(module_ground.registry)
    module_ground.registry.mkdir()
    module_ground.plugin("full", {"plugin.yaml": FULL})
    module_ground.plugin("hermes-tool", {"plugin.yaml": b"runtimes: [hermes]"})
    module_ground.plugin("bare", {"README": b""})
    return module_ground


@pytest.fixture
async def database(ground: Ground) -> AsyncIterator[asyncpg.Connection]:
    async with connected(ground.api.environment["DATABASE_URL"]) as connection:
        yield connection


async def listed(ground: Ground, path: str) -> list[dict[str, Any]]:
    answer = await ground.call("GET", path)
    assert answer.status == 200
    plugins: list[dict[str, Any]] = answer.json
    return plugins


def names(plugins: list[dict[str, Any]]) -> list[str]:
    return [plugin["name"] for plugin in plugins]


async def test_the_registry(ground: Ground, tmp_path: Path) -> None:
    ground.plugin("broken", {"plugin.yaml": b"a: ["})
    ground.plugin("aliased", {"plugin.yaml": b"version: &v 1\nauthor: *v"})
    ground.plugin("huge", {"plugin.yaml": b"version: '3'\n#" + b"x" * 2**20})
    for name in (".hidden", "in valid", "a..b", "-x"):
        ground.plugin(name, {"plugin.yaml": FULL})
    (ground.registry / "file").touch()
    (ground.registry / "link").symlink_to("full")
    (ground.registry / "dangling").symlink_to("nowhere")
    ground.plugin("linked", {})
    (ground.registry / "linked" / "plugin.yaml").symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_text("version: secret")
    answer = await ground.api.call("GET", "/plugins")
    assert answer.status == 200
    plugins = {plugin["name"]: plugin for plugin in answer.json}
    assert list(plugins) == ["aliased", "bare", "broken", "full", "hermes-tool", "huge", "linked"]
    assert plugins["full"] == {
        "name": "full",
        "version": "1.10",
        "description": "Größe",
        "author": "me",
        "tags": ["a", "b"],
        "skills": ["greet", "../.."],
        "runtimes": ["claude-code", "langgraph"],
    }
    for name in ("aliased", "bare", "broken", "huge", "linked"):
        assert plugins[name] == {"name": name, **EMPTY}


@pytest.mark.parametrize(
    ("runtime", "suits"),
    [
        ("claude_code", ["bare", "full"]),
        ("Claude-Code", ["bare", "full"]),
        ("hermes", ["bare", "hermes-tool"]),
        ("never-heard-of", ["bare"]),
        ("", ["bare", "full", "hermes-tool"]),
    ],
)
async def test_what_of_it_suits_a_runtime(ground: Ground, runtime: str, suits: list[str]) -> None:
    assert names(await listed(ground, f"/plugins?runtime={runtime}")) == suits
    workspace = await ground.row(runtime=runtime or "langgraph")
    expected = suits if runtime else ["bare", "full"]
    assert names(await listed(ground, f"/workspaces/{workspace}/plugins/available")) == expected


async def test_a_registry_that_is_gone_is_empty_and_in_the_log(ground: Ground, tmp_path: Path) -> None:
    workspace = await ground.row()
    ground.registry.rename(tmp_path / "away")
    try:
        assert await listed(ground, "/plugins") == []
        assert await listed(ground, f"/workspaces/{workspace}/plugins/available") == []
        line = await ground.api.event("registry.unreadable")
        assert (line["level"], line["problem"]) == ("warning", "No such file or directory")
    finally:
        (tmp_path / "away").rename(ground.registry)


async def test_the_sources(ground: Ground) -> None:
    assert (await ground.api.call("GET", "/plugins/sources")).json == {"schemes": ["github", "local"]}


async def compatibility(ground: Ground, workspace: Workspace | str, runtime: str) -> Answer:
    workspace_id = workspace if isinstance(workspace, str) else workspace.id
    return await ground.call("GET", f"/workspaces/{workspace_id}/plugins/compatibility?runtime={runtime}")


async def test_what_is_installed_and_for_what_it_suits(ground: Ground, database: asyncpg.Connection) -> None:
    workspace = await ground.workspace()
    answer = await compatibility(ground, workspace, "hermes")
    assert answer.headers["X-Container-State"] == "running"
    assert answer.json == {
        "target_runtime": "hermes",
        "compatible": [],
        "incompatible": [],
        "all_compatible": True,
    }
    for name in ("full", "hermes-tool", "bare"):
        assert (await ground.install(workspace, name)).status == 200
    await workspace.write("/configs/plugins/by-hand/plugin.yaml", b"runtimes: []")
    plugins = await listed(ground, f"/workspaces/{workspace.id}/plugins")
    assert names(plugins) == ["bare", "by-hand", "full", "hermes-tool"]
    by_name = {plugin["name"]: plugin for plugin in plugins}
    supported = {name: plugin["supported_on_runtime"] for name, plugin in by_name.items()}
    assert supported == {"bare": True, "by-hand": True, "full": True, "hermes-tool": False}
    assert by_name["full"]["source"] == "local://full"
    assert by_name["full"]["digest"].startswith("h1:")
    assert by_name["full"]["installed_at"].endswith("Z")
    assert not {"source", "digest", "installed_at", "pulled_at"} & by_name["by-hand"].keys()

    answer = await compatibility(ground, workspace, "claude_code")
    assert names(answer.json["compatible"]) == ["bare", "by-hand", "full"]
    assert names(answer.json["incompatible"]) == ["hermes-tool"]
    assert answer.json["all_compatible"] is False
    for query in ("", "%20"):
        answer = await compatibility(ground, workspace, query)
        assert (answer.status, answer.json["error"]) == (400, "runtime query parameter is required")

    ground.plugin("full", {"plugin.yaml": b"version: 2"})
    assert (await ground.install(workspace, "full")).status == 200
    again = {plugin["name"]: plugin for plugin in await ground.installed(workspace)}["full"]
    assert again["version"] == "2"
    assert again["installed_at"] == by_name["full"]["installed_at"]
    assert again["digest"] != by_name["full"]["digest"]


STATES = {"paused": "not_running", "exited": "not_running", "missing": "not_running", "sick": "unknown"}


async def test_without_a_container_lists_are_soft_and_say_so(ground: Ground, wire: RecordingProxy) -> None:
    workspace = await ground.workspace()
    assert (await ground.install(workspace, "bare")).status == 200
    for state, outcome in STATES.items():
        match state:
            case "paused":
                await workspace.container.pause()
            case "exited":
                await workspace.container.unpause()
                await workspace.container.kill()
            case "missing":
                await workspace.container.remove()
            case "sick":
                await wire.fault("502")
        answer = await ground.call("GET", f"/workspaces/{workspace.id}/plugins")
        assert (answer.status, answer.json, answer.headers["X-Container-State"]) == (200, [], outcome)
        answer = await compatibility(ground, workspace, "hermes")
        assert answer.headers["X-Container-State"] == outcome
        assert (answer.json["compatible"], answer.json["incompatible"]) == ([], [])
        assert answer.json["all_compatible"] is None


async def test_a_list_puts_back_what_was_aside(ground: Ground) -> None:
    workspace = await ground.workspace()
    assert (await ground.install(workspace, "full")).status == 200
    script = "cd /configs/plugins && mkdir -p .staging/x/old .staging/x/new/full && mv full .staging/x/old/"
    assert await workspace.run("sh", "-c", script) == (0, "")
    assert names(await ground.installed(workspace)) == ["full"]
    assert await workspace.tree("/configs/plugins/full") == ground.expected("full")


async def test_a_container_that_talks_without_end_is_unknown(ground: Ground) -> None:
    workspace = await ground.workspace()
    await workspace.write("/bin/talk", b"#!/bin/busybox yes\n", mode=0o755)
    await workspace.run("ln", "-sf", "/bin/talk", "/bin/sh")
    answer = await ground.call("GET", f"/workspaces/{workspace.id}/plugins")
    assert (answer.status, answer.json, answer.headers["X-Container-State"]) == (200, [], "unknown")
    answer = await ground.install(workspace, "bare")
    assert (answer.status, answer.json["code"]) == (500, "copy_failed")
    assert ground.api.events("plugin.list_failed", workspace_id=workspace.id)
    await workspace.container.remove()


async def test_what_an_external_workspace_pulled(ground: Ground, wire: RecordingProxy) -> None:
    workspace = await ground.row(runtime="external")
    wire.reset()
    assert await listed(ground, f"/workspaces/{workspace}/plugins") == []
    for name in ("full", "bare"):
        answer = await ground.call("GET", f"/workspaces/{workspace}/plugins/{name}/download")
        assert answer.status == 200
        await ground.api.event("plugin.pulled", workspace_id=workspace, plugin=name)
    answer = await ground.call("GET", f"/workspaces/{workspace}/plugins")
    assert names(answer.json) == ["bare", "full"]
    assert answer.json[1].keys() >= {"source", "digest", "pulled_at", "version", "tags"}
    assert "installed_at" not in answer.json[1]
    assert "X-Container-State" not in answer.headers
    answer = await compatibility(ground, workspace, "hermes")
    assert (answer.json["compatible"], answer.json["all_compatible"]) == ([], None)
    assert wire.requests == []


async def test_an_install_that_cannot_be_recorded_is_an_install(
    ground: Ground, database: asyncpg.Connection
) -> None:
    workspace = await ground.workspace()
    await database.execute(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = 'disk_full'; END $$;"
        "CREATE TRIGGER full_disk BEFORE INSERT OR DELETE ON healthsweep.plugin_records"
        " FOR EACH STATEMENT EXECUTE FUNCTION full_disk()"
    )
    try:
        assert (await ground.install(workspace, "full")).status == 200
        (plugin,) = await ground.installed(workspace)
        assert (plugin["name"], plugin.get("installed_at")) == ("full", None)
        assert (await ground.uninstall(workspace, "full")).status == 200
    finally:
        await database.execute("DROP FUNCTION full_disk() CASCADE")
    lines = ground.api.events("plugin.record_failed", workspace_id=workspace.id)
    assert [line["step"] for line in lines] == ["record", "forget"]
    assert (
        await database.fetch(
            "SELECT 1 FROM healthsweep.plugin_records WHERE workspace_id = $1", UUID(workspace.id)
        )
        == []
    )
