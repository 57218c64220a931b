"""Situations of PostgreSQL, of settings, and of how the sweeper is run."""

import asyncio
import signal

from tests.situations.play import situation
from tests.situations.scene import Scene
from tests.support.postgres import connected
from tests.support.roles import blind_to_the_runtime
from tests.sweeper.service import eventually


@situation()
async def database_away(scene: Scene) -> None:
    """PostgreSQL was away: 4 installs got 503 platform_unavailable, nothing was marked, and when it was back
    the sweep went on.

    PostgreSQL's fault; Docker and the workspaces were fine.
    """
    fleet = await scene.online("mail-triage", "billing-bot")
    here = scene.sweeper.position
    await scene.postgres.stop()
    await scene.sweeper.event("database.unreachable", after=here)
    for workspace in (*fleet, *fleet):
        assert (await scene.install(workspace)).json["code"] == "platform_unavailable"
    await scene.look(fleet[0])
    await scene.postgres.start()
    await scene.sweeper.event("database.recovered", after=here)
    assert (await scene.install(fleet[0])).status == 200
    await scene.sweeper.sweeps(2)


@situation(REMOTE_LIVENESS_STALE_AFTER="60")
async def table_locked(scene: Scene) -> None:
    """The table of workspaces was locked for more than 5 s: one install into laptop-agent went past the
    external guard, because its runtime could not be looked up, and got 503 container_not_running (missing)
    with a hint in the place of 422.

    The database's fault (somebody's long locks); laptop-agent is external and fine.
    """
    (laptop,) = await scene.connected("laptop-agent")
    async with connected(scene.url) as first, connected(scene.url) as second, connected(scene.url) as looking:
        # Two migrations of the platform, one after the other. The request is let through between them: it
        # has its caller's token by then, and has to wait for the runtime.
        await first.execute(f"BEGIN; {_LOCK}")
        asked = asyncio.create_task(scene.install(laptop))
        await eventually(lambda: looking.fetchval(_WAIT, "healthsweep-api", 1))
        locking = asyncio.create_task(second.execute(f"BEGIN; {_LOCK}"))
        await eventually(lambda: looking.fetchval(_WAIT, "", 1))
        await first.execute("COMMIT")
        await locking
        await scene.api.event("runtime.lookup_failed", workspace_id=laptop.id)
        await second.execute("COMMIT")
    answer = await asked
    assert answer.json["code"] == "container_not_running", answer.body
    assert "could not be looked up" in answer.json["hint"]
    await scene.look(laptop)
    await scene.sweeper.sweeps(2)


_LOCK = "LOCK TABLE public.workspaces"
_WAIT = """
SELECT count(*) = $2 FROM pg_stat_activity
WHERE application_name = $1 AND datname = current_database() AND wait_event_type = 'Lock'
"""


@situation(REMOTE_LIVENESS_STALE_AFTER="60")
async def runtime_unreadable(scene: Scene) -> None:
    """The api's role lost the right to read the column `runtime`: 2 installs into laptop-agent went past the
    external guard and got 503 container_not_running (missing) with a hint in the place of 422.

    The database's fault (a right that is missing, 42501); laptop-agent is external and fine.
    """
    (laptop,) = await scene.connected("laptop-agent")
    blind = await scene.keep(blind_to_the_runtime(scene.url))
    scene.environment["DATABASE_URL"] = blind
    scene.api.send_signal(signal.SIGTERM)
    await scene.api.wait()
    await scene.start_api()
    for _ in range(2):
        answer = await scene.install(laptop)
        assert answer.json["code"] == "container_not_running", answer.body
        assert "could not be looked up" in answer.json["hint"]
    await scene.look(laptop)
    await scene.sweeper.sweeps(1)


@situation(SWEEP_WRITE="off")
async def observing(scene: Scene) -> None:
    """With SWEEP_WRITE=off nothing is written: research-agent would have been marked online, and billing-bot,
    whose row another program keeps online, offline (exited).

    Nobody's fault: this is what the first week on an existing database looks like.
    """
    await scene.workspace("mail-triage", status="online")
    dead = await scene.workspace("billing-bot", status="online")
    await scene.workspace("research-agent")
    await scene.sweeper.event("workspace.would_mark", to="online")
    await dead.running.kill()
    await scene.sweeper.event("workspace.would_mark", workspace_id=dead.id, to="offline")
    await scene.look(dead)
    await scene.sweeper.sweeps(3)


@situation()
async def settings_refused(scene: Scene) -> None:
    """The sweeper was started again with SWEEP_INTERVAL=soon and left with 78; nothing is swept since.

    The operator's fault: a setting is wrong.
    """
    (workspace,) = await scene.online("mail-triage")
    scene.sweeper.send_signal(signal.SIGTERM)
    await scene.sweeper.wait()
    await scene.start_sweeper(SWEEP_INTERVAL="soon")
    assert await scene.sweeper.wait() == 78
    await scene.look(workspace)
