"""Who may change which status, and on what: the whole table, by a container's state."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from shared.ids import container_name
from tests.support.daemon import State
from tests.sweeper.scene import Scene

DEFINITE: dict[str, tuple[State | None, str, int | None]] = {
    "missing": (None, "missing", None),
    "created": (State("created"), "created", None),
    "exited": (State("exited", exit_code=137), "exited", 137),
    "paused": (State("paused"), "paused", None),
    "restarting": (State("restarting", exit_code=1), "restarting", 1),
    "removing": (State("removing"), "removing", None),
    "dead": (State("dead", exit_code=255), "dead", 255),
    # Podman's words
    "stopped": (State("stopped", exit_code=3), "exited", 3),
    "stopping": (State("stopping"), "exited", None),
    "initialized": (State("initialized"), "created", None),
}
"""Containers, why their workspaces are offline then, and with which exit code."""
NOT_OURS = (
    "provisioning",
    "failed",
    "paused",
    "hibernated",
    "hibernating",
    "removed",
    "awaiting_agent",
    "some_new_word",
)


@pytest.mark.parametrize("word", DEFINITE)
async def test_a_container_that_does_not_run_takes_online_and_degraded_offline(
    scene: Scene, word: str
) -> None:
    container, reason, exit_code = DEFINITE[word]
    for status in ("online", "degraded"):
        workspace = await scene.add(status, container=container)
        report = await scene.sweep()
        assert (report.marked_offline, report.marked_online) == (1, 0)
        assert await scene.status(workspace) == "offline"

        (written,) = await scene.history(workspace)
        (line,) = scene.events("workspace.marked_offline", workspace_id=str(workspace))
        assert (written["from_status"], written["to_status"]) == (status, "offline")
        assert (written["reason"], written["exit_code"]) == (reason, exit_code)
        assert (written["detected_by"], written["cause_id"]) == ("sweep", line["sweep_id"])
        assert (line["log_level"], line["previous"], line["reason"]) == ("info", status, reason)
        assert (line.get("exit_code"), line["detected_by"]) == (exit_code, "sweep")
        assert line["container_name"] == container_name(workspace)


@pytest.mark.parametrize("reason", sorted({"resumed", *(reason for _, reason, _ in DEFINITE.values())}))
async def test_a_running_container_heals_an_offline_of_ours(scene: Scene, reason: str) -> None:
    workspace = await scene.add("offline", reason=reason, container=State())
    report = await scene.sweep()
    assert (report.marked_online, report.running, report.inspects) == (1, 1, 2)
    assert await scene.status(workspace) == "online"
    assert [row["to_status"] for row in await scene.history(workspace)] == ["offline", "online"]
    (line,) = scene.events("workspace.marked_online", workspace_id=str(workspace))
    assert (line["previous"], line["reason"], line["detected_by"]) == ("offline", "running", "sweep")


async def test_a_running_container_heals_nobody_elses_offline(scene: Scene) -> None:
    silent = await scene.add("offline", reason="heartbeat_stale", container=State())
    unknown_writer = await scene.add("offline", container=State())
    other_reason = await scene.add("offline", reason="maintenance", container=State())
    written_over_ours = await scene.add("offline", reason="exited", container=State())
    await scene.tell(written_over_ours, "online", "running")  # ours said online; somebody wrote offline
    for _ in range(2):
        assert (await scene.sweep()).marked_online == 0
    for workspace in (silent, unknown_writer, other_reason, written_over_ours):
        assert await scene.status(workspace) == "offline"
    assert scene.daemon.inspects == []


async def test_what_agrees_is_not_asked_about(scene: Scene) -> None:
    up = [await scene.add(status, container=State()) for status in ("online", "degraded")]
    down = [
        await scene.add("offline", reason="exited", container=State("exited", exit_code=1)),
        await scene.add("offline", reason="created", container=State("created")),
        await scene.add("offline", reason="missing"),
        await scene.add("offline", reason="heartbeat_stale", container=State("paused")),
    ]
    report = await scene.sweep()
    assert (report.checked, report.running, report.not_running, report.inspects) == (6, 2, 4, 0)
    assert [await scene.status(workspace) for workspace in up] == ["online", "degraded"]
    assert {await scene.status(workspace) for workspace in down} == {"offline"}
    assert not scene.events("workspace.marked_offline")


@pytest.mark.parametrize("status", NOT_OURS)
async def test_other_statuses_are_never_touched(scene: Scene, status: str) -> None:
    workspaces = [
        await scene.add(status, container=State()),
        await scene.add(status, container=State("exited", exit_code=1)),
        await scene.add(status),
        await scene.add(status, reason="exited", container=State()),
        await scene.add(status, runtime="external"),
    ]
    await scene.write(workspaces[-1], last_heartbeat_at="now() - interval '30 days'")
    before = await scene.connection.fetch("SELECT *, xmin FROM public.workspaces ORDER BY id")
    for _ in range(2):
        assert (await scene.sweep()).checked == 0
    assert await scene.connection.fetch("SELECT *, xmin FROM public.workspaces ORDER BY id") == before
    assert scene.daemon.requests == []


async def test_a_transition_is_told_to_listeners_and_stamps_the_row(scene: Scene) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    await scene.connection.add_listener("healthsweep", lambda *notice: told.put_nowait(str(notice[-1])))
    workspace = await scene.add("online", container=State("exited", exit_code=9))
    await scene.write(workspace, updated_at="now() - interval '1 day'")
    await scene.sweep()
    assert json.loads(await asyncio.wait_for(told.get(), 5)) == {
        "workspace_id": str(workspace),
        "from": "online",
        "to": "offline",
        "reason": "exited",
    }
    (written,) = await scene.history(workspace)
    assert written["at"] == await scene.connection.fetchval("SELECT updated_at FROM public.workspaces")
    await scene.sweep()
    assert told.empty()  # and never again, as nothing changes


async def test_the_latency_is_told_where_docker_says_when(scene: Scene) -> None:
    ended = (datetime.now(UTC) - timedelta(seconds=3)).isoformat().replace("+00:00", "Z")
    known = await scene.add(container=State("exited", exit_code=1, finished_at=ended))
    never = await scene.add(container=State("exited", finished_at="0001-01-01T00:00:00Z"))
    gone = await scene.add()
    started = await scene.add("offline", reason="exited", container=State(started_at=ended))
    healed = await scene.add("offline", reason="paused", container=State(started_at=ended))
    await scene.sweep()
    (line,) = scene.events("workspace.marked_offline", workspace_id=str(known))
    assert 3000 <= line["latency_ms"] < 13_000
    (line,) = scene.events("workspace.marked_online", workspace_id=str(started))
    assert 3000 <= line["latency_ms"] < 13_000
    for workspace in (never, gone):
        (line,) = scene.events("workspace.marked_offline", workspace_id=str(workspace))
        assert "latency_ms" not in line
    (line,) = scene.events("workspace.marked_online", workspace_id=str(healed))
    assert "latency_ms" not in line  # an unpause is no start


async def test_a_sweep_is_reported_once_with_what_it_did(scene: Scene) -> None:
    await scene.add("online", container=State())
    await scene.add("online", container=State("exited", exit_code=1))
    await scene.add("offline", reason="created", container=State())
    await scene.sweep()
    (line,) = scene.events("sweep.completed")
    assert line["log_level"] == "info"
    assert line["sweep_id"]
    counts = {key: value for key, value in line.items() if isinstance(value, int)}
    assert counts == {
        "checked": 3,
        "running": 2,
        "not_running": 1,
        "unknown": 0,
        "marked_online": 1,
        "marked_offline": 1,
        "held": 0,
        "inspects": 3,
    }
    assert line["duration_ms"] >= line["list_ms"] > 0
    scene.sweeper.complete()
    assert len(scene.events("sweep.completed")) == 1
