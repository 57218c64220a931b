"""External workspaces: judged by the age of their heartbeat on the database's clock, never by Docker."""

import asyncio

import pytest

from tests.support.daemon import State
from tests.sweeper.scene import Scene

WINDOW = "6"
"""Seconds, enough for a busy machine. `server_is_up_for` is why it is not longer."""

LONG_AGO = "now() - interval '1 hour'"


@pytest.fixture
async def windows(scene: Scene) -> Scene:
    await scene.server_is_up_for(6.2)  # no silence is counted from before the server's start
    scene.restart(REMOTE_LIVENESS_STALE_AFTER=WINDOW)
    return scene


@pytest.mark.parametrize("status", ["online", "degraded"])
@pytest.mark.parametrize("runtime", ["external", "kimi", "kimi-cli"])
async def test_a_stale_one_goes_offline_without_a_question(windows: Scene, status: str, runtime: str) -> None:
    stale = await windows.add(status, runtime=runtime, container=State())
    fresh = await windows.add(status, runtime=runtime)
    await windows.write(stale, last_heartbeat_at="now() - interval '6.1 s'")
    await windows.write(fresh, last_heartbeat_at="now()", created_at=LONG_AGO)
    report = await windows.sweep()
    assert (report.checked, report.marked_offline) == (2, 1)
    assert (await windows.status(stale), await windows.status(fresh)) == ("offline", status)
    (written,) = await windows.history(stale)
    assert (written["from_status"], written["reason"]) == (status, "heartbeat_stale")
    (line,) = windows.events("workspace.marked_offline")
    assert (line["workspace_id"], line["reason"]) == (str(stale), "heartbeat_stale")
    assert "container_name" not in line
    assert windows.daemon.requests == []


async def test_docker_heals_none_of_them(windows: Scene) -> None:
    workspace = await windows.add("offline", reason="heartbeat_stale", runtime="external", container=State())
    moved = await windows.add("offline", reason="exited", runtime="external", container=State())
    await windows.sweep()
    assert (await windows.status(workspace), await windows.status(moved)) == ("offline", "offline")
    assert windows.daemon.requests == []


async def test_one_that_becomes_external_in_its_grace_is_not_asked_about(scene: Scene) -> None:
    scene.restart(OFFLINE_GRACE="0.05")
    workspace = await scene.add(container=State("exited"))
    await scene.sweeper.sweep()
    await scene.write(workspace, runtime="'external'")
    await scene.settle()
    assert (await scene.status(workspace), scene.daemon.inspects) == ("online", [])


async def test_without_a_heartbeat_the_window_starts_at_the_creation(windows: Scene) -> None:
    old = await windows.add(runtime="external")
    new = await windows.add(runtime="external")
    await windows.write(old, created_at=LONG_AGO)
    await windows.sweep()
    assert (await windows.status(old), await windows.status(new)) == ("offline", "online")


async def test_without_an_engine_they_are_swept(windows: Scene) -> None:
    local = await windows.add(container=State())
    stale = await windows.add(runtime="external")
    await windows.write(stale, created_at=LONG_AGO)
    await windows.daemon.fault("no socket")
    await windows.sweep()
    assert (await windows.status(stale), await windows.status(local)) == ("offline", "online")


@pytest.mark.parametrize(
    ("seen", "heard_since", "judged"),
    [
        ("1 s", "1 h", True),
        ("14 s", "1 h", True),
        ("16 s", "1 h", False),  # nobody could be heard at present
        ("1 day", "1 day", False),
        ("0 s", "0 s", False),  # nor before that
        ("0 s", "7 s", True),
    ],
)
async def test_nobody_is_silent_while_nobody_listens(
    windows: Scene, seen: str, heard_since: str, judged: bool
) -> None:
    stale = await windows.add(runtime="external")
    await windows.write(stale, last_heartbeat_at=LONG_AGO, created_at=LONG_AGO)
    await windows.connection.execute(
        "INSERT INTO healthsweep.presence (process, started_at, seen_at, heard_since)"
        f" VALUES ('api', {LONG_AGO}, now() - interval '{seen}', now() - interval '{heard_since}')"
    )
    await windows.sweep()
    assert await windows.status(stale) == ("offline" if judged else "online")


async def test_our_own_outage_counts_as_nobodys_silence(windows: Scene) -> None:
    stale = await windows.add(runtime="external")
    await windows.write(stale, last_heartbeat_at=LONG_AGO, created_at=LONG_AGO)
    windows.restart(REMOTE_LIVENESS_STALE_AFTER="3")
    await windows.sweep(after_outage=True)
    await windows.sweep()
    assert await windows.status(stale) == "online"
    await asyncio.sleep(3.1)
    await windows.sweep()
    assert await windows.status(stale) == "offline"


async def test_silence_is_not_counted_from_before_the_servers_start(scene: Scene) -> None:
    stale = await scene.add(runtime="external")
    await scene.write(stale, last_heartbeat_at=LONG_AGO, created_at=LONG_AGO)
    up = await scene.server_is_up_for(3.5)
    scene.restart(REMOTE_LIVENESS_STALE_AFTER=f"{up + 30:.1f}")
    await scene.sweep()
    assert await scene.status(stale) == "online"
    scene.restart(REMOTE_LIVENESS_STALE_AFTER=f"{up - 1:.1f}")
    await scene.sweep()
    assert await scene.status(stale) == "offline"


@pytest.mark.parametrize("moment", ["infinity", "-infinity"])
async def test_a_time_that_is_none_stops_nobody(windows: Scene, moment: str) -> None:
    odd = await windows.add(runtime="external")
    stale = await windows.add(runtime="external")
    local = await windows.add(container=State("exited"))
    await windows.write(odd, last_heartbeat_at=f"'{moment}'", created_at=f"'{moment}'")
    await windows.write(stale, created_at=LONG_AGO)
    for _ in range(2):
        await windows.sweep()
    assert (await windows.status(stale), await windows.status(local)) == ("offline", "offline")
    assert await windows.status(odd) == "online"
    (line,) = windows.events("workspace.skipped")
    assert (line["log_level"], line["workspace_id"]) == ("warning", str(odd))
    assert "heartbeat" in line["problem"]


async def test_which_runtimes_are_external_is_a_setting(windows: Scene) -> None:
    remote = await windows.add(runtime="robot", container=State("exited"))
    local = await windows.add(runtime="external", container=State("exited"))
    windows.restart(EXTERNAL_RUNTIMES="robot,android", REMOTE_LIVENESS_STALE_AFTER=WINDOW)
    await windows.sweep()
    assert (await windows.status(remote), await windows.status(local)) == ("online", "offline")
