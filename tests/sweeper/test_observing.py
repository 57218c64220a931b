"""SWEEP_WRITE=off: the same looks and the same lines in the log, and not one write."""

from tests.support.daemon import State
from tests.sweeper.scene import Scene

DEAD = State("exited", exit_code=137)
ROWS = "SELECT *, xmin FROM public.workspaces ORDER BY id"


async def test_what_would_change_is_said_once_and_not_written(scene: Scene) -> None:
    scene.restart(SWEEP_WRITE="off")
    dead = await scene.add("degraded", container=DEAD)
    back = await scene.add("offline", reason="exited", container=State())
    before = await scene.connection.fetch(ROWS)
    for _ in range(3):
        report = await scene.sweep()
        assert (report.marked_offline, report.marked_online) == (0, 0)
        assert (report.not_running, report.running) == (1, 1)
    assert await scene.connection.fetch(ROWS) == before
    assert await scene.history(dead) == []
    assert len(await scene.history(back)) == 1

    (line,) = scene.events("workspace.would_mark", workspace_id=str(dead))
    assert (line["log_level"], line["to"], line["previous"]) == ("info", "offline", "degraded")
    assert (line["reason"], line["exit_code"], line["detected_by"]) == ("exited", 137, "sweep")
    (line,) = scene.events("workspace.would_mark", workspace_id=str(back))
    assert (line["to"], line["previous"], line["reason"]) == ("online", "offline", "running")
    assert not scene.events("workspace.marked_offline")
    assert not scene.events("workspace.marked_online")
    assert not scene.events("workspace.mark_skipped")


async def test_it_is_said_again_when_it_happens_again(scene: Scene) -> None:
    scene.restart(SWEEP_WRITE="off")
    workspace = await scene.add(container=DEAD)
    await scene.sweep()
    scene.put(workspace, State())
    await scene.sweep()
    scene.put(workspace, DEAD)
    await scene.sweep()
    assert len(scene.events("workspace.would_mark")) == 2


async def test_a_silent_external_one_is_said_once_for_each_silence(scene: Scene) -> None:
    await scene.server_is_up_for(2.2)
    scene.restart(SWEEP_WRITE="off", REMOTE_LIVENESS_STALE_AFTER="2")
    workspace = await scene.add(runtime="external")
    for heard, said in (("10 s", 1), ("10 s", 1), ("0 s", 1), ("10 s", 2)):
        await scene.write(workspace, last_heartbeat_at=f"now() - interval '{heard}'")
        await scene.sweep()
        assert len(scene.events("workspace.would_mark", reason="heartbeat_stale")) == said
    assert (await scene.status(workspace), await scene.history(workspace)) == ("online", [])
