"""The product's processes and commands, and the clock that they are told."""

import subprocess
import sys
import time

import pytest

from tests.support.clock import FakeClock
from tests.support.daemon import FakeDaemon, State
from tests.support.postgres import connected
from tests.support.processes import ServiceProcess, run_command
from tests.support.rows import add_row

pytestmark = pytest.mark.usefixtures("processes")


async def test_the_sweeper_is_run_and_read(fake_daemon: FakeDaemon, database_url: str) -> None:
    environment = {
        "DATABASE_URL": database_url,
        "DOCKER_HOST": fake_daemon.host,
        "SWEEP_INTERVAL": "1",
    }
    async with connected(database_url) as connection:
        workspace = await add_row(connection, runtime="langgraph")
    fake_daemon.containers[f"ws-{workspace}"] = State("exited")
    async with ServiceProcess("sweeper", environment) as sweeper:
        await sweeper.event("process.started", process="sweeper")
        await sweeper.sweeps(2)
        here = sweeper.position
        await fake_daemon.fault("refused")
        line = await sweeper.event("engine.unreachable", after=here)
        assert line["reason"] == "unreachable"
        assert not sweeper.events("engine.unreachable", reason="timeout")
        with pytest.raises(AssertionError, match=r"without never\.happens"):
            await sweeper.event("never.happens", timeout=0.1)
    assert sweeper.status == 0
    assert sweeper.noise == []
    assert fake_daemon.lists >= 2


async def test_a_refusal_is_seen_at_once() -> None:
    async with ServiceProcess("sweeper", {"SWEEP_INTERVAL": "never"}) as sweeper:
        line = await sweeper.event("settings.invalid", timeout=10)
        assert line["variable"] == "SWEEP_INTERVAL"
        assert await sweeper.wait(timeout=10) == 78
        with pytest.raises(AssertionError, match="ended with 78 without"):
            await sweeper.event("process.started", timeout=60)


async def test_a_command_is_run() -> None:
    ended = await run_command("config", "--json", environment={"SWEEP_INTERVAL": "7"})
    assert (ended.status, ended.stderr) == (0, "")
    assert "SWEEP_INTERVAL" in str(ended.json)


async def test_a_process_is_told_the_time(fake_clock: FakeClock) -> None:
    fake_clock.jump(-86400)
    now = "import time; print(time.time())"
    ended = subprocess.run(
        [sys.executable, "-c", now],
        env=fake_clock.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert abs(float(ended.stdout) - (time.time() - 86400)) < 60
