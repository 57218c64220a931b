"""Situations of agents and of those who call for them: external workspaces, heartbeats, tokens."""

import asyncio

from tests.situations.play import situation
from tests.situations.scene import Scene, Workspace


@situation()
async def agent_silent(scene: Scene) -> None:
    """laptop-agent was silent for longer than the stale window, went offline (heartbeat_stale), and came
    online with its next heartbeat; edge-agent was heard all the time.

    The agent's fault, or its network's; it has no container here.
    """
    (silent, heard) = await scene.connected("laptop-agent", "edge-agent")
    beating = asyncio.create_task(_beat_on(scene, heard))
    try:
        line = await scene.sweeper.event("workspace.marked_offline", workspace_id=silent.id)
        assert line["reason"] == "heartbeat_stale"
        await scene.look(silent)
        await scene.sweeper.sweeps(2)
        here = scene.api.position
        await scene.beat(silent)
        await scene.api.event("workspace.marked_online", after=here, workspace_id=silent.id)
        await scene.sweeper.sweeps(1)
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
    assert not scene.sweeper.events("workspace.marked_offline", workspace_id=heard.id)


@situation(REMOTE_LIVENESS_STALE_AFTER="60")
async def pushes_to_external(scene: Scene) -> None:
    """12 pushes were refused with 422 external_runtime: 9 to laptop-agent, 3 to edge-agent; Docker was not
    asked. edge-agent fetched its plugin instead.

    Whoever pushes: external workspaces pull.
    """
    (laptop, edge) = await scene.connected("laptop-agent", "edge-agent")
    for workspace, times in ((laptop, 8), (edge, 3)):
        for _ in range(times):
            assert (await scene.install(workspace)).json["code"] == "external_runtime"
    path = f"/workspaces/{laptop.id}/plugins/hello"
    assert (await scene.api.call("DELETE", path, token=laptop.token)).json["code"] == "external_runtime"
    path = f"/workspaces/{edge.id}/plugins/hello/download"
    assert (await scene.api.call("GET", path, token=edge.token)).status == 200
    await scene.look(laptop)
    await scene.sweeper.sweeps(1)


@situation(REMOTE_LIVENESS_STALE_AFTER="60")
async def agent_degraded(scene: Scene) -> None:
    """edge-agent reported an error rate of 0.8 and was degraded, until it reported 0.02.

    The agent's own doing: it is alive, and says that most of its work fails.
    """
    (agent,) = await scene.connected("edge-agent")
    await scene.beat(agent, error_rate=0.8, sample_error="upstream: connection reset")
    await scene.api.event("workspace.marked_degraded", workspace_id=agent.id)
    await scene.look(agent)
    await scene.sweeper.sweeps(2)
    here = scene.api.position
    await scene.beat(agent, error_rate=0.02)
    await scene.api.event("workspace.marked_online", after=here, workspace_id=agent.id)
    await scene.sweeper.sweeps(1)


@situation(REMOTE_LIVENESS_STALE_AFTER="60", RATE_LIMIT="30")
async def tokens_refused(scene: Scene) -> None:
    """21 requests were refused with 401: 12 with a revoked token of laptop-agent, 6 of somebody who guesses,
    3 without any; then edge-agent sent more than 30 a minute and got 429.

    Whoever calls: an agent that holds an old token, somebody who guesses, a client in a loop.
    """
    (laptop, edge) = await scene.connected("laptop-agent", "edge-agent")
    await scene.command("token", "reset", laptop.id)
    path = f"/workspaces/{laptop.id}/plugins"
    refused = [laptop.token] * 12 + [f"guess-{number}" for number in range(6)] + [None] * 3
    for token in refused:
        assert (await scene.api.call("GET", path, token=token)).status == 401
    limited = 0
    async with asyncio.timeout(60):
        while limited < 8:
            answer = await scene.api.call("GET", f"/workspaces/{edge.id}/state", token=edge.token)
            limited += answer.status == 429
    await scene.look(laptop)
    await scene.sweeper.sweeps(1)


async def _beat_on(scene: Scene, workspace: Workspace) -> None:
    while True:
        await scene.beat(workspace)
        await asyncio.sleep(0.5)
