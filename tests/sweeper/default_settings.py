"""The scenario of an operator who sets nothing: how soon is what happened to a container in its row?"""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from shared.ids import container_name
from tests.support.processes import LogLine, ServiceProcess
from tests.sweeper.service import add_workspace, statuses
from tests.sweeper.side_by_side import Ground, Play, scenario

SWEEP_INTERVAL, OFFLINE_GRACE, ONLINE_GRACE = 15, 1, 2
OFFLINE_IN = timedelta(seconds=SWEEP_INTERVAL + OFFLINE_GRACE + 1)
ONLINE_IN = timedelta(seconds=SWEEP_INTERVAL + ONLINE_GRACE + 1)

# Crash loops live for so many seconds, and less than ONLINE_GRACE.
SEEN_ONLINE = (0, 1.5)
NEVER_ONLINE = (1.2, 1.5, 1.8)


@scenario
async def with_default_settings(ground: Ground) -> None:
    async with Play(ground.engine, await ground.database(), ground.place()) as play:
        killed, paused = await play.fleet(2)
        loops = [await _crash_loop(play, "online", seconds) for seconds in SEEN_ONLINE]
        beginners = [await _crash_loop(play, "offline", seconds) for seconds in NEVER_ONLINE]
        environment = {"DATABASE_URL": play.url, "DOCKER_HOST": play.proxy.host}
        async with ServiceProcess("sweeper", environment) as sweeper:
            await sweeper.event("sweep.completed")  # so each has to wait for as long as it can be
            at = datetime.now(UTC)
            await asyncio.gather(play.containers[killed].kill(), play.containers[paused].pause())
            line = await _soon(play, sweeper, killed, "offline", at + OFFLINE_IN)
            assert (line["reason"], line["exit_code"]) == ("exited", 137)
            line = await _soon(play, sweeper, paused, "offline", at + OFFLINE_IN)
            assert line["reason"] == "paused"

            await sweeper.sweeps(1)
            at = datetime.now(UTC)
            await asyncio.gather(play.containers[killed].start(), play.containers[paused].unpause())
            await _soon(play, sweeper, killed, "online", at + ONLINE_IN)
            await _soon(play, sweeper, paused, "online", at + ONLINE_IN)

            await sweeper.sweeps(2)
            now = await statuses(play.url)
            assert {now[workspace] for workspace in (*loops, *beginners)} == {"offline"}
        rows = [row for row in await play.transitions() if row.workspace_id not in (killed, paused)]
        assert {row.status for row in rows} == {"offline"}
        assert sorted(row.workspace_id for row in rows) == sorted(loops)  # once, and never back
        assert not sweeper.events("sweep.overran")
        assert not await play.false_offlines()


async def _crash_loop(play: Play, status: str, seconds: float) -> UUID:
    workspace = await add_workspace(play.url, status=status, reason="created")
    command = ("/bin/sh", "-c", f"sleep {seconds}; exit 7")
    play.containers[workspace] = await play.engine.container(
        container_name(workspace), command=command, restart="always"
    )
    return workspace


async def _soon(
    play: Play, sweeper: ServiceProcess, workspace: UUID, status: str, latest: datetime
) -> LogLine:
    """The line that says so. A change that comes, but too late, says how much."""
    timeout = (latest - datetime.now(UTC)).total_seconds() + 10
    await play.becomes(workspace, status, timeout=timeout)
    row = [row for row in await play.transitions() if row.workspace_id == workspace][-1]
    assert (row.status, row.at <= latest) == (status, True), f"{row.at - latest} too late"
    return await sweeper.event(f"workspace.marked_{status}", workspace_id=str(workspace))
