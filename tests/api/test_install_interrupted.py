"""Installs that something comes between: a container that goes away, an engine that does, a client."""

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from tests.api.ground import Content, Ground, Workspace, playground
from tests.support.engine import DockerEngine
from tests.support.exchange import Request
from tests.support.proxy import RecordingProxy
from tests.support.wire import Answer, Reply

OLD: dict[str, Content] = {"plugin.yaml": b"version: old", "a": b"old", "d/old": (b"", 0o755)}
NEW: dict[str, Content] = {"plugin.yaml": b"version: new", "a": b"new", "d/new": (b"", 0o755)}
FOR_ALL = ("/containers/*/exec", "/containers/*/archive", "/exec/*/start")
STEPS = {
    "look": (FOR_ALL[1], 1),
    "prepare": (FOR_ALL[0], 1),
    "upload": (FOR_ALL[1], 4),
    "swap": (FOR_ALL[0], 1),
}


async def with_the_old_one(ground: Ground, *, before: str = "swap") -> Workspace:
    """A workspace whose next install comes to this step: it prepares where something was left behind."""
    workspace = await ground.workspace()
    ground.plugin("p", OLD)
    assert (await ground.install(workspace, "p")).status == 200
    await ground.api.event("plugin.installed", workspace_id=workspace.id)
    ground.plugin("p", NEW)
    if before == "prepare":
        await workspace.run("mkdir", "/configs/plugins/.staging")
    return workspace


def at(wire: RecordingProxy, step: str, act: Callable[[], Awaitable[Reply | None]]) -> None:
    """When the api comes to this step, `act` first."""
    pattern, number = STEPS[step]
    counter = itertools.count(1)

    async def hook(_: Request) -> Reply | None:
        return await act() if next(counter) == number else None

    wire.answer(pattern, hook)


async def versions(ground: Ground, workspace: Workspace) -> str:
    """Which of the two trees is there, whole."""
    seen = await workspace.tree("/configs/plugins/p")
    if seen == ground.expected("p"):
        return "new"
    ground.plugin("p", OLD)
    assert seen == ground.expected("p"), "neither the old tree nor the new one"
    ground.plugin("p", NEW)
    return "old"


@pytest.mark.parametrize(("before", "programs"), [("upload", 1), ("prepare", 2)])
async def test_a_program_prepares_only_where_something_was_left(
    ground: Ground, wire: RecordingProxy, before: str, programs: int
) -> None:
    workspace = await with_the_old_one(ground, before=before)
    asked = len(wire.requests)
    assert (await ground.install(workspace, "p")).status == 200
    assert [seen.path.endswith("/start") for seen in wire.requests[asked:]].count(True) == programs
    assert await versions(ground, workspace) == "new"
    await ground.check_nothing_is_left()


GOES_AWAY = {"paused": "pause", "exited": "kill", "missing": "remove"}


@pytest.mark.parametrize("state", GOES_AWAY)
@pytest.mark.parametrize("step", STEPS)
async def test_a_container_that_goes_away_is_said_with_its_state(
    ground: Ground, wire: RecordingProxy, step: str, state: str
) -> None:
    workspace = await with_the_old_one(ground, before=step)

    async def go_away() -> Reply | None:
        await getattr(workspace.container, GOES_AWAY[state])()
        return None

    at(wire, step, go_away)
    answer = await ground.install(workspace, "p")
    assert (answer.status, answer.json["code"]) == (503, "container_not_running")
    assert answer.json["state"] == state
    await wire.heal()
    if state == "paused":
        await workspace.container.unpause()
    elif state == "exited":
        await workspace.container.start()
    else:
        return
    assert await versions(ground, workspace) == "old"
    assert [plugin["version"] for plugin in await ground.installed(workspace)] == ["old"]
    assert (await ground.install(workspace, "p")).status == 200
    assert await versions(ground, workspace) == "new"


@pytest.mark.parametrize("delay", [0.0, 0.03, 0.06, 0.1, 0.2])
async def test_a_container_that_is_killed_under_a_script(
    ground: Ground, wire: RecordingProxy, delay: float
) -> None:
    workspace = await with_the_old_one(ground)
    counter = itertools.count(1)
    killing: list[asyncio.Task[None]] = []

    async def kill_it() -> None:
        await asyncio.sleep(delay)
        await workspace.container.kill()

    async def hook(_: Request) -> Reply | None:
        if next(counter) == 1:
            killing.append(asyncio.create_task(kill_it()))
        return None

    wire.answer("/exec/*/start", hook)
    answer = await ground.install(workspace, "p")
    await asyncio.gather(*killing)
    if answer.status != 200:
        assert (answer.status, answer.json.get("state")) == (503, "exited"), answer.body
    await wire.heal()
    await workspace.container.start()
    (plugin,) = await ground.installed(workspace)
    assert plugin["version"] == await versions(ground, workspace)
    assert plugin["version"] == "new" or answer.status != 200
    assert (await ground.install(workspace, "p")).status == 200
    assert await versions(ground, workspace) == "new"


@pytest.mark.parametrize("step", STEPS)
async def test_an_engine_that_goes_away_is_unknown(ground: Ground, wire: RecordingProxy, step: str) -> None:
    workspace = await with_the_old_one(ground, before=step)

    async def fall_sick() -> Reply | None:
        wire.answer("*", Answer(502, "Bad Gateway"))
        return Answer(502, "Bad Gateway")

    at(wire, step, fall_sick)
    answer = await ground.install(workspace, "p")
    assert (answer.status, answer.json["code"]) == (503, "container_engine_unavailable")
    await wire.heal()
    assert await versions(ground, workspace) == "old"
    assert (await ground.uninstall(workspace, "p")).status == 200
    assert await ground.installed(workspace) == []


@pytest.mark.parametrize("step", ["upload", "swap"])
async def test_what_fails_leaves_nothing_staged(ground: Ground, wire: RecordingProxy, step: str) -> None:
    workspace = await with_the_old_one(ground)

    async def refuse() -> Reply | None:
        return Answer(500, {"message": "no space left on device"})

    at(wire, step, refuse)
    answer = await ground.install(workspace, "p")
    assert (answer.status, answer.json["code"]) == (500, "copy_failed")
    assert await versions(ground, workspace) == "old"
    await ground.check_nothing_is_left()


@pytest.mark.parametrize("step", STEPS)
async def test_a_client_that_hangs_up_changes_nothing(
    ground: Ground, wire: RecordingProxy, step: str
) -> None:
    workspace = await with_the_old_one(ground, before=step)
    here = ground.api.position
    arrived = asyncio.Event()

    async def wait() -> Reply | None:
        arrived.set()
        await asyncio.sleep(0.2)
        return None

    at(wire, step, wait)
    asking = asyncio.create_task(ground.install(workspace, "p"))
    await arrived.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await ground.api.event("plugin.installed", after=here, workspace_id=workspace.id)
    assert await versions(ground, workspace) == "new"
    assert not ground.api.events("request.failed")


async def test_a_client_that_hangs_up_within_its_body_installs_nothing(ground: Ground) -> None:
    workspace = await ground.workspace()

    async def half() -> AsyncIterator[bytes]:
        yield b'{"source": "p", '
        raise ConnectionError

    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await ground.api.session.post(
            f"/workspaces/{workspace.id}/plugins",
            data=half(),
            headers={"Authorization": f"Bearer {ground.api.admin_token}"},
        )
    line = await ground.api.event("request.completed", workspace_id=workspace.id)
    assert (line["status"], line["code"]) == (400, "invalid_body")
    assert await ground.installed(workspace) == []


async def test_an_install_in_flight_ends_before_the_api_does(
    docker: DockerEngine, database_url: str, short_directory: Path
) -> None:
    async with playground(database_url, docker, short_directory) as ground:
        workspace = await ground.workspace()
        ground.plugin("p", {"noise": os.urandom(30 * 2**20)})
        started = (await workspace.container.inspect())["State"]["StartedAt"]
        installing = asyncio.create_task(ground.install(workspace, "p", restart=True))
        async with asyncio.timeout(20):
            while not list((ground.api.home / "staging").iterdir()):
                await asyncio.sleep(0.005)
        assert not installing.done()
        ground.api.send_signal(signal.SIGTERM)
        answer = await installing
        assert (answer.status, answer.json["restarting"]) == (200, True)
        assert await ground.api.wait(timeout=30) == 0
        assert await workspace.tree("/configs/plugins/p") == ground.expected("p")
        assert (await workspace.container.inspect())["State"]["StartedAt"] != started
