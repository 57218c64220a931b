"""`python -m sweeper`: what it tells Prometheus, and what it refuses to start with."""

import asyncio
import math
import socket
import time

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared import __version__
from tests.support.daemon import FakeDaemon, State
from tests.support.postgres import connected
from tests.sweeper.service import add_with_container, quick_sweeper

pytestmark = pytest.mark.usefixtures("processes")

DEAD = State("exited", exit_code=137)


async def test_what_the_metrics_tell(database_url: str, fake_daemon: FakeDaemon) -> None:
    for state in (State(), State(), DEAD, State("zombie")):
        await add_with_container(database_url, fake_daemon, state)
    port = _free_port()
    async with quick_sweeper(database_url, fake_daemon.host, METRICS_PORT=str(port)) as sweeper:
        await sweeper.sweeps(2)
        told = await _metrics(port)
        await fake_daemon.fault("502")
        await sweeper.event("engine.unreachable")
        away = await _metrics(port)
    labels = f'version="{__version__}"'
    assert told[f"healthsweep_build_info{{{labels}}}"] == 1
    assert told["healthsweep_sweep_duration_seconds_count"] >= 2
    assert abs(time.time() - told["healthsweep_sweep_completed_timestamp_seconds"]) < 30
    assert told['healthsweep_workspaces{outcome="running",reason="running"}'] == 2
    assert told['healthsweep_workspaces{outcome="not_running",reason="exited"}'] == 1
    assert told['healthsweep_workspaces{outcome="unknown",reason="malformed"}'] == 1
    assert told['healthsweep_transitions_total{reason="exited",to="offline"}'] == 1
    assert told["healthsweep_inspects_total"] == 1
    assert told["healthsweep_unknown_streaks"] == 1
    assert told["healthsweep_held"] == told["healthsweep_sweeps_failed_total"] == 0
    assert told["healthsweep_sweep_interval_seconds"] == 1
    assert "healthsweep_contradiction_seconds" not in told  # the api's
    assert told["healthsweep_engine_up"] == told["healthsweep_database_up"] == 1
    assert (away["healthsweep_engine_up"], away["healthsweep_database_up"]) == (0, 1)


async def test_without_workspaces_nothing_is_said_of_docker(
    database_url: str, fake_daemon: FakeDaemon
) -> None:
    port = _free_port()
    async with quick_sweeper(database_url, fake_daemon.host, METRICS_PORT=str(port)) as sweeper:
        await sweeper.sweeps(1)
        assert math.isnan((await _metrics(port))["healthsweep_engine_up"])
        workspace = await add_with_container(database_url, fake_daemon, State())
        await sweeper.event("sweep.completed", running=1)
        assert (await _metrics(port))["healthsweep_engine_up"] == 1
        async with connected(database_url) as connection:
            await connection.execute("UPDATE workspaces SET status = 'removed' WHERE id = $1", workspace)
        await sweeper.event("sweep.completed", checked=0, after=sweeper.position)
        assert math.isnan((await _metrics(port))["healthsweep_engine_up"])


async def test_what_cannot_be_used_is_one_line_and_78(database_url: str, fake_daemon: FakeDaemon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wrong = {
            "DATABASE_URL": "",
            "METRICS_PORT": str(taken.getsockname()[1]),
            "SWEEP_INTERVAL": "0",
            "OFFLINE_GRACE": "soon",
            "DOCKER_HOST": "/var/run/docker.sock",
            "SWEEP_WRITE": "perhaps",
        }
        await asyncio.gather(
            *(_refused(database_url, fake_daemon, variable, value) for variable, value in wrong.items())
        )


async def _refused(url: str, daemon: FakeDaemon, variable: str, value: str) -> None:
    async with quick_sweeper(url, daemon.host, **{variable: value}) as sweeper:
        assert await sweeper.wait(timeout=20) == 78
    assert sweeper.noise == []
    (line,) = [line for line in sweeper.lines if line["level"] != "info"]
    assert (line["event"], line["level"], line["variable"]) == ("settings.invalid", "critical", variable)
    assert line["problem"]


async def _metrics(port: int) -> dict[str, float]:
    """Every sample, by its name with its labels in their order."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        families = text_string_to_metric_families(await answer.text())
    return {
        sample.name + _labels(sample.labels): sample.value for family in families for sample in family.samples
    }


def _labels(labels: dict[str, str]) -> str:
    inside = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    return f"{{{inside}}}" if inside else ""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
