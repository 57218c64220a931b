"""Situations in which a workspace's container is at fault, or what is to be put into it."""

import asyncio

from tests.api.ground import put_plugin
from tests.situations.play import situation
from tests.situations.scene import Scene


@situation(REMOTE_LIVENESS_STALE_AFTER="60")
async def quiet(scene: Scene) -> None:
    """Nothing happened: two workspaces came online, one plugin was installed and one fetched."""
    (workspace, _) = await scene.online("mail-triage", "billing-bot")
    (laptop,) = await scene.connected("laptop-agent")
    assert (await scene.install(workspace)).status == 200
    path = f"/workspaces/{laptop.id}/plugins/hello/download"
    assert (await scene.api.call("GET", path, token=laptop.token)).status == 200
    for agent in (workspace, laptop):
        await scene.beat(agent)
    await scene.look(workspace)
    await scene.sweeper.sweeps(2)


@situation()
async def container_killed(scene: Scene) -> None:
    """The container of billing-bot ended with 137 (killed): 3 installs got 503 container_not_running, the
    workspace was marked offline (exited), and came online when its container was started.

    The workspace's fault, or whoever killed it (out of memory?); Docker was fine.
    """
    (_, dying) = await scene.online("mail-triage", "billing-bot")
    here = scene.sweeper.position
    await dying.running.kill()
    assert (await scene.install(dying)).json["code"] == "container_not_running"
    await scene.marked("offline", dying, after=here)
    for _ in range(2):
        assert (await scene.install(dying)).json["state"] == "exited"
    await scene.look(dying)
    await dying.running.start()
    await scene.marked("online", dying, after=here)
    assert (await scene.install(dying)).status == 200
    await scene.sweeper.sweeps(2)


@situation(SWEEP_INTERVAL="6")
async def container_stopped_just_now(scene: Scene) -> None:
    """One install into billing-bot got 503 container_not_running (exited) while its row still said online:
    the container had stopped a moment before, and the next sweep marked it.

    Whoever stopped it; the status was late by less than one sweep.
    """
    (stopping,) = await scene.online("billing-bot")
    here = scene.sweeper.position
    await stopping.running.stop()
    assert (await scene.install(stopping)).json["code"] == "container_not_running"
    await scene.look(stopping)
    await scene.marked("offline", stopping, after=here)


@situation(OFFLINE_GRACE="0.1", ONLINE_GRACE="0.1")
async def crash_loop(scene: Scene) -> None:
    """research-agent crash-loops: its container ends with 1 every few seconds and is restarted by Docker, so
    it was marked offline 3 times or more.

    The workspace's fault: its program does not stay up.
    """
    await scene.online("mail-triage")
    looping = await scene.workspace(
        "research-agent", command=("/bin/sh", "-c", "sleep 2; exit 1"), restart="always"
    )
    # dockerd waits twice as long each time, 12.8 s by now: long enough to look around.
    async with asyncio.timeout(90):
        while (seen := await looping.running.inspect())["RestartCount"] < 7 or not seen["State"][
            "Restarting"
        ]:
            await asyncio.sleep(0.1)
    here = scene.sweeper.position
    await scene.marked("offline", looping, after=here)
    assert len(scene.sweeper.events("workspace.marked_offline", workspace_id=looping.id)) >= 3
    assert (await scene.install(looping)).json["code"] in ("container_not_running", "copy_failed")
    await scene.look(looping)
    await scene.sweeper.sweeps(2)


@situation()
async def flapping(scene: Scene) -> None:
    """billing-bot went offline and online 4 times: something stops and starts its container.

    Whoever stops and starts it, on purpose or by a script: it ends with 0, so it is no crash.
    """
    (_, flapping) = await scene.online("mail-triage", "billing-bot")
    for _ in range(4):
        here = scene.sweeper.position
        await flapping.running.stop()
        await scene.marked("offline", flapping, after=here)
        await flapping.running.start()
        await scene.marked("online", flapping, after=here)
    await scene.look(flapping)
    await scene.sweeper.sweeps(1)


@situation(REMOTE_LIVENESS_STALE_AFTER="2")
async def agent_dead_inside(scene: Scene) -> None:
    """Nothing was logged: research-agent's container runs, so it is online, but its agent, which sent
    heartbeats, has been silent for longer than the stale window. That counts for external ones only.

    The workspace's fault: its main process goes on without its agent.
    """
    silent = await scene.workspace("research-agent", command=("/bin/sh", "-c", _WITHOUT_ITS_AGENT))
    await scene.marked("online", silent, after=0)
    for _ in range(3):
        await scene.beat(silent)
    await scene.sweeper.sweeps(4)
    await scene.look(silent)


_WITHOUT_ITS_AGENT = "trap 'exit 0' TERM; sleep 2 & wait $!; while :; do sleep 3600 & wait $!; done"


@situation(GITHUB_BASE_URL="http://127.0.0.1:9")
async def installs_fail(scene: Scene) -> None:
    """8 installs failed, none because of Docker: not at the source, forge unreachable, unpinned, content
    refused, manifest and sha256 do not fit, and code-review's container cannot be written (read-only); one
    went well.

    Each has its own reason: the plugin's author, the source, or the container's settings.
    """
    (workspace,) = await scene.online("mail-triage")
    read_only = await scene.workspace("code-review", read_only=True)
    await scene.marked("online", read_only, after=0)
    put_plugin(scene.registry, "linked", {"plugin.yaml": b"version: 1\n"})
    (scene.registry / "linked" / "shadow").symlink_to("/etc/shadow")
    put_plugin(scene.registry, "tampered", {"run": b"#!", "manifest.json": b'{"sha256": "0000"}'})
    codes = [
        (await scene.install(target, source, **body)).json["code"]
        for target, source, body in (
            (workspace, "local://no-such-plugin", {}),
            (workspace, "github://acme/tools#v1", {}),
            (workspace, "github://acme/tools", {}),
            (workspace, "local://linked", {}),
            (workspace, "local://tampered", {}),
            (workspace, "local://hello", {"sha256": "0" * 64}),
            (read_only, "local://hello", {}),
            (read_only, "local://hello", {}),
        )
    ]
    assert codes == [
        "plugin_not_at_source",
        "fetch_failed",
        "unpinned_source",
        "plugin_content_refused",
        "plugin_integrity_failed",
        "plugin_integrity_failed",
        "container_not_writable",
        "container_not_writable",
    ]
    assert (await scene.install(workspace)).status == 200
    await scene.look(read_only)
    await scene.sweeper.sweeps(1)
