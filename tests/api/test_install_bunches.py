"""Many requests at one container, and requests beside a restart of ours."""

import asyncio
from datetime import UTC, datetime

import pytest

from tests.api.ground import Ground, Workspace
from tests.support.api import Answer
from tests.support.engine import DockerEngine
from tests.support.exchange import Exchange, Request
from tests.support.processes import ServiceProcess
from tests.support.proxy import RecordingProxy
from tests.support.wire import Reply, Slow

MANY = 16
DEAF = ("/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done")
"""A program that does not end when it is asked to: its restart takes STOP_S."""
STOP_S = 2


@pytest.fixture(scope="module")
def module_ground(module_ground: Ground) -> Ground:
    """With many plugins in the registry."""
    for number in range(MANY):
        module_ground.plugin(f"p{number}", {"plugin.yaml": b"version: '%d'" % number, "a": b"%d" % number})
    return module_ground


def restarts(wire: RecordingProxy, workspace: Workspace) -> list[Exchange]:
    return [seen for seen in wire.requests if seen.path == f"/containers/{workspace.container.id}/restart"]


@pytest.mark.parametrize("different", [1, MANY], ids=["one plugin", "many plugins"])
async def test_a_bunch_restarts_once(ground: Ground, wire: RecordingProxy, different: int) -> None:
    workspace = await ground.workspace()
    names = [f"p{number % different}" for number in range(MANY)]
    answers = await asyncio.gather(*(ground.install(workspace, name, restart=True) for name in names))
    assert [(a.status, a.json["plugin"], a.json["restarting"]) for a in answers] == [
        (200, name, True) for name in names
    ]
    assert {plugin["name"] for plugin in await ground.installed(workspace)} == set(names)
    for name in set(names):
        assert await workspace.tree(f"/configs/plugins/{name}") == ground.expected(name)
    assert [seen.status for seen in restarts(wire, workspace)] == [204]


async def test_a_mixed_bunch_is_answered_one_by_one(ground: Ground, wire: RecordingProxy) -> None:
    workspace = await ground.workspace()
    assert (await ground.install(workspace, "p0")).status == 200
    ground.plugin("bad", {"plugin.yaml": b"["})
    answers = await asyncio.gather(
        ground.install(workspace, "p1", restart=True),
        ground.install(workspace, "bad", restart=True),
        ground.uninstall(workspace, "p0", restart=True),
        ground.install(workspace, "nowhere", restart=True),
        ground.install(workspace, "p2"),
        ground.uninstall(workspace, "p9", restart=True),
    )
    assert [answer.status for answer in answers] == [200, 422, 200, 404, 200, 404]
    assert [plugin["name"] for plugin in await ground.installed(workspace)] == ["p1", "p2"]
    assert len(restarts(wire, workspace)) == 1


async def test_without_an_order_nothing_is_restarted(ground: Ground, wire: RecordingProxy) -> None:
    workspace = await ground.workspace()
    answers = await asyncio.gather(*(ground.install(workspace, f"p{number}") for number in range(3)))
    assert {answer.json["restarting"] for answer in answers} == {False}
    assert (await ground.uninstall(workspace, "p0")).json["restarting"] is False
    await ground.installed(workspace)
    assert restarts(wire, workspace) == []


async def test_who_comes_while_it_restarts_waits_for_that(ground: Ground, wire: RecordingProxy) -> None:
    workspace = await ground.workspace(command=DEAF, StopTimeout=STOP_S)
    assert (await ground.install(workspace, "p0", restart=True)).json["restarting"] is True
    answered = datetime.now(UTC)
    while not restarts(wire, workspace):
        await asyncio.sleep(0.01)
    before = len(wire.requests)
    path = f"/workspaces/{workspace.id}/plugins"
    lists = [ground.call("GET", path), ground.call("GET", f"{path}/compatibility?runtime=hermes")]
    *soft, installed = await asyncio.gather(*lists, ground.install(workspace, "p1"))
    (restart,) = restarts(wire, workspace)
    assert restart.answered_at is not None
    assert (restart.answered_at - answered).total_seconds() > STOP_S / 2
    about_it = [seen for seen in wire.requests[before:] if workspace.container.id in seen.path]
    assert all(seen.at >= restart.answered_at for seen in about_it)
    assert installed.status == 200
    assert [answer.headers["X-Container-State"] for answer in soft] == ["running", "running"]
    assert soft[0].json != []


async def uploading(
    ground: Ground, wire: RecordingProxy, workspace: Workspace, *, seconds: float = 1.0
) -> asyncio.Task[Answer]:
    """An install with a restart, at the moment of its upload, which takes so long."""
    begun = asyncio.Event()

    async def upload(request: Request) -> Reply | None:
        if request.method != "PUT" or begun.is_set():
            return None
        begun.set()
        return Slow(seconds)

    wire.answer("/containers/*/archive", upload)
    install = asyncio.create_task(ground.install(workspace, "p0", restart=True))
    await begun.wait()
    return install


async def test_who_looks_during_an_upload_waits_for_its_restart_too(
    ground: Ground, wire: RecordingProxy
) -> None:
    workspace = await ground.workspace(command=DEAF, StopTimeout=STOP_S)
    install = await uploading(ground, wire, workspace)
    assert [plugin["name"] for plugin in await ground.installed(workspace)] == ["p0"]
    (restart,) = restarts(wire, workspace)
    assert restart.answered_at is not None
    assert (await install).status == 200
    last = [seen for seen in wire.requests if seen.path == f"/containers/{workspace.container.id}/exec"][-1]
    assert last.at >= restart.answered_at


async def test_who_installs_during_an_upload_shares_its_restart(ground: Ground, wire: RecordingProxy) -> None:
    workspace = await ground.workspace()
    first = await uploading(ground, wire, workspace)
    second = await ground.install(workspace, "p1", restart=True)
    assert ((await first).status, second.status) == (200, 200)
    assert [plugin["name"] for plugin in await ground.installed(workspace)] == ["p0", "p1"]
    assert len(restarts(wire, workspace)) == 1


async def test_a_slow_upload_delays_no_other_container(ground: Ground, wire: RecordingProxy) -> None:
    slow, quick = await ground.workspace(), await ground.workspace()
    install = await uploading(ground, wire, slow, seconds=4.0)
    assert (await ground.install(quick, "p0", restart=True)).status == 200
    assert [plugin["name"] for plugin in await ground.installed(quick)] == ["p0"]
    assert (await ground.uninstall(quick, "p0")).status == 200
    assert not install.done()
    assert (await install).status == 200


async def test_a_sweeper_beside_it_sees_no_trouble(ground: Ground, docker_engine: DockerEngine) -> None:
    workspace = await ground.workspace()
    environment = {
        "DATABASE_URL": ground.api.environment["DATABASE_URL"],
        "DOCKER_HOST": docker_engine.host,
        "SWEEP_INTERVAL": "1",
        "ONLINE_GRACE": "0",
    }
    async with ServiceProcess("sweeper", environment) as sweeper:
        await sweeper.event("workspace.marked_online", workspace_id=workspace.id)
        for number in range(4):
            assert (await ground.install(workspace, f"p{number}", restart=True)).status == 200
            await ground.installed(workspace)
        await sweeper.sweeps(2)
        assert not sweeper.events("workspace.marked_offline", workspace_id=workspace.id)
    history = await ground.call("GET", f"/workspaces/{workspace.id}/history")
    assert [line["to"] for line in history.json["transitions"]] == ["online", "offline"]  # as it was made
