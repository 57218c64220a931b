"""Rows as they come: odd names and runtimes, short container names, platform databases, old history."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from shared.database import migrate
from shared.ids import container_name, short_container_name
from tests.support.daemon import State
from tests.support.postgres import connected
from tests.sweeper.scene import Scene, staged

DEAD = State("exited", exit_code=1)


async def test_an_odd_row_is_swept_like_any_other(scene: Scene) -> None:
    odd = [
        await scene.add(name=None, container=DEAD),
        await scene.add(name="", container=DEAD),
        await scene.add(name="../info?x=\n\u202e" + "n" * 10_000, container=DEAD),
        await scene.add(runtime=None, container=DEAD),
        await scene.add(runtime="", container=DEAD),
        await scene.add(runtime=" external ", container=DEAD),
        await scene.add(runtime="EXTERNAL", container=DEAD),
        await scene.add(runtime="'; DROP TABLE workspaces; --", container=DEAD),
    ]
    healthy = await scene.add(name=None, runtime=None, container=State())
    report = await scene.sweep()
    assert (report.marked_offline, report.running) == (len(odd), 1)
    assert {await scene.status(workspace) for workspace in odd} == {"offline"}
    assert await scene.status(healthy) == "online"


async def test_unswept_runtimes_are_never_written(scene: Scene) -> None:
    mock = [
        await scene.add(runtime="mock"),
        await scene.add(runtime="mock", container=DEAD),
        await scene.add("offline", reason="exited", runtime="mock", container=State()),
    ]
    other = await scene.add(runtime="stub")
    report = await scene.sweep()
    assert (report.checked, report.marked_offline, report.marked_online) == (1, 1, 0)
    assert [await scene.status(workspace) for workspace in mock] == ["online", "online", "offline"]
    assert await scene.status(other) == "offline"
    scene.restart(UNSWEPT_RUNTIMES="stub,other")
    assert (await scene.sweep()).checked == 3


async def test_an_empty_runtime_counts_as_langgraph(scene: Scene) -> None:
    for runtime in (None, "", "langgraph"):
        await scene.add(runtime=runtime, container=DEAD)
    scene.restart(UNSWEPT_RUNTIMES="langgraph")
    assert (await scene.sweep()).checked == 0


async def test_a_container_of_an_older_platform_is_found_by_its_short_name(scene: Scene) -> None:
    up = await scene.add(short=State())
    down = await scene.add(short=DEAD)
    back = await scene.add("offline", reason="created", short=State())
    report = await scene.sweep()
    assert [await scene.status(workspace) for workspace in (up, down, back)] == [
        "online",
        "offline",
        "online",
    ]
    assert report.inspects == 2 + 4  # both names, once for down and twice for back
    full, short = container_name(down), short_container_name(down)
    assert [name for name in scene.daemon.inspects if name in (full, short)] == [full, short]
    (line,) = scene.events("workspace.marked_offline", workspace_id=str(down))
    assert (line["container_name"], line["reason"]) == (short, "exited")


async def test_the_full_name_is_the_workspaces_own(scene: Scene) -> None:
    workspace = await scene.add(container=DEAD, short=State())
    await scene.sweep()
    assert await scene.status(workspace) == "offline"
    assert scene.daemon.inspects == [container_name(workspace)]


@pytest.mark.parametrize("status", ["online", "removed", "provisioning"])
@pytest.mark.parametrize("runtime", ["langgraph", "mock", "external"])
async def test_a_short_name_that_two_rows_share_is_nobodys(scene: Scene, status: str, runtime: str) -> None:
    ours, other = _twins()
    workspace = await scene.add(workspace_id=ours, short=State())
    waiting = await scene.add("offline", reason="created", short=State())
    await scene.add(status, workspace_id=other, runtime=runtime, container=State())
    await scene.sweep()
    assert await scene.status(workspace) == "offline"
    assert (await scene.history(workspace))[0]["reason"] == "missing"
    assert scene.daemon.inspects.count(container_name(ours)) == 1
    assert short_container_name(ours) not in scene.daemon.inspects
    assert await scene.status(waiting) == "online"  # whose short name is its own


async def test_two_that_share_a_short_name_are_not_healed_by_it(scene: Scene) -> None:
    ours, other = _twins()
    for workspace in (ours, other):
        await scene.add("offline", workspace_id=workspace, reason="missing")
    scene.daemon.containers[short_container_name(ours)] = State()
    await scene.sweep()
    assert {await scene.status(ours), await scene.status(other)} == {"offline"}
    assert scene.daemon.inspects == []


@pytest.fixture
async def platform(platform_database_url: str, short_directory: Path) -> AsyncIterator[Scene]:
    async with connected(platform_database_url) as connection:
        await migrate(connection)
    async with staged(platform_database_url, short_directory) as scene:
        yield scene


async def test_a_platform_database_is_swept(platform: Scene) -> None:
    down = await platform.add(container=DEAD)
    degraded = await platform.add("degraded")
    back = await platform.add("offline", reason="created", container=State())
    left_alone = {
        status: await platform.add(status, container=DEAD)
        for status in ("provisioning", "failed", "paused", "hibernating", "awaiting_agent", "removed")
    }
    await platform.sweep()
    assert await platform.status(down) == await platform.status(degraded) == "offline"
    assert await platform.status(back) == "online"
    assert {s: await platform.status(workspace) for s, workspace in left_alone.items()} == {
        status: status for status in left_alone
    }
    assert [row["reason"] for row in await platform.history(down)] == ["exited"]


async def test_rows_that_live_elsewhere_are_not_ours(platform: Scene) -> None:
    elsewhere = [
        await platform.add(),
        await platform.add("offline", reason="exited", container=State()),
        await platform.add(runtime="external"),
    ]
    for workspace in elsewhere:
        await platform.write(workspace, instance_id="'i-0abc'", created_at="NULL")
    ours = await platform.add()
    report = await platform.sweep()
    assert (report.checked, report.marked_offline) == (1, 1)
    assert [await platform.status(workspace) for workspace in elsewhere] == ["online", "offline", "online"]
    assert await platform.status(ours) == "offline"


async def test_a_row_that_the_database_refuses_stops_nobody_else(scene: Scene) -> None:
    """A trigger of another program, say: it is said once, and the others are written."""
    fleet = [await scene.add(container=State("exited")) for _ in range(7)]
    await scene.write(fleet[3], name="'sacred'")
    await scene.connection.execute(
        "ALTER TABLE public.workspaces ADD CONSTRAINT sacred CHECK (name <> 'sacred' OR status <> 'offline')"
    )
    assert (await scene.sweep()).marked_offline == 6
    assert (await scene.sweep()).marked_offline == 0
    assert [await scene.status(workspace) for workspace in fleet].count("offline") == 6
    (line,) = scene.events("workspace.skipped")
    assert line["workspace_id"] == str(fleet[3])
    assert not scene.events("sweep.failed")


async def test_pruning_never_drops_a_workspaces_newest_row(scene: Scene) -> None:
    several = await scene.add("offline", container=State())
    for status, reason in (("online", "running"), ("offline", "paused"), ("offline", "exited")):
        await scene.tell(several, status, reason)
    single = await scene.add("offline", reason="created", container=State())
    gone = uuid4()  # history outlives the row
    await scene.tell(gone, "removed", "removed")
    await scene.connection.execute("UPDATE healthsweep.history SET at = now() - interval '100 days'")
    recent = await scene.add("offline", reason="exited")
    await scene.tell(recent, "offline", "exited")

    assert await scene.store.prune_history(older_than_s=90 * 86400, most=1000) == 2
    assert [row["reason"] for row in await scene.history(several)] == ["exited"]
    assert len(await scene.history(single)) == len(await scene.history(gone)) == 1
    assert len(await scene.history(recent)) == 2
    assert await scene.store.prune_history(older_than_s=90 * 86400, most=1000) == 0
    assert (await scene.sweep()).marked_online == 2  # who may heal them is still known


async def test_pruning_goes_in_steps(scene: Scene) -> None:
    workspace = await scene.add()
    await scene.connection.execute(
        "INSERT INTO healthsweep.history (workspace_id, to_status, reason, detected_by, at)"
        " SELECT $1, 'offline', 'exited', 'test', now() - interval '1 year' FROM generate_series(1, 1500)",
        workspace,
    )
    assert [await scene.store.prune_history(older_than_s=3600, most=1000) for _ in range(3)] == [1000, 499, 0]


def _twins() -> tuple[UUID, UUID]:
    """Two ids with the same first 12 characters."""
    first = uuid4()
    return first, UUID(str(first)[:12] + str(uuid4())[12:])
