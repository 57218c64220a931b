"""`healthsweep sweep --once`: one sweep with its graces, and what it says that it did."""

import json
from dataclasses import fields

import asyncpg
import pytest

from sweeper.sweep import Report
from tests.deploy.operator import Operator, history
from tests.support.daemon import FakeDaemon, State
from tests.support.rows import add_row

KEYS = [field.name for field in fields(Report)]


@pytest.fixture
def operator(operator: Operator, fake_daemon: FakeDaemon) -> Operator:
    """With a daemon and in a hurry."""
    hurry = {"DOCKER_HOST": fake_daemon.host, "OFFLINE_GRACE": "200ms", "ONLINE_GRACE": "200ms"}
    operator.environment = {**operator.environment, **hurry}
    return operator


async def online(rows: asyncpg.Connection, daemon: FakeDaemon, state: State | None) -> str:
    """An online workspace whose container is in that state."""
    workspace = await add_row(rows, runtime="langgraph")
    if state:
        daemon.containers[f"ws-{workspace}"] = state
    return workspace


async def status(rows: asyncpg.Connection, workspace: str) -> str:
    return str(await rows.fetchval("SELECT status FROM public.workspaces WHERE id::text = $1", workspace))


async def test_it_is_one_object_and_it_waits_for_its_graces(
    operator: Operator, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    dead = await online(rows, fake_daemon, State("exited", exit_code=137))
    await online(rows, fake_daemon, State("running"))
    report = await operator.json("sweep", "--once")
    assert list(report) == KEYS
    assert {key: report[key] for key in KEYS if not key.endswith("_ms")} == {
        "checked": 2,
        "running": 1,
        "not_running": 1,
        "unknown": 0,
        "marked_online": 0,
        "marked_offline": 1,
        "held": 0,
        "inspects": 1,
    }
    assert await history(rows, dead) == [("online", "offline", "exited", "sweep")]


async def test_started_again_it_is_online_after_one_sweep(
    operator: Operator, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    workspace = await online(rows, fake_daemon, State("exited"))
    await operator.does("sweep", "--once")
    fake_daemon.containers[f"ws-{workspace}"] = State("running")
    assert (await operator.json("sweep", "--once"))["marked_online"] == 1
    assert await status(rows, workspace) == "online"


async def test_its_log_is_on_standard_error_with_the_same_keys(
    operator: Operator, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    workspace = await online(rows, fake_daemon, State("paused"))
    ended = await operator.does("sweep", "--once", "--json")
    marked, completed = map(json.loads, ended.stderr.splitlines())
    assert (marked["event"], marked["workspace_id"]) == ("workspace.marked_offline", workspace)
    assert (completed["event"], completed["process"]) == ("sweep.completed", "command")
    assert {key: completed[key] for key in KEYS} == ended.json


async def test_for_people_it_is_two_columns(operator: Operator) -> None:
    lines = (await operator.does("sweep", "--once")).stdout.splitlines()
    assert [line.split()[0] for line in lines] == KEYS


async def test_a_dry_run_says_what_it_would_do_and_writes_nothing(
    operator: Operator, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    workspace = await online(rows, fake_daemon, State("exited"))
    ended = await operator.does("sweep", "--once", "--dry-run", "--json")
    assert (ended.json["not_running"], ended.json["marked_offline"]) == (1, 0)
    would = json.loads(ended.stderr.splitlines()[0])
    assert (would["event"], would["workspace_id"]) == ("workspace.would_mark", workspace)
    assert await status(rows, workspace) == "online"
    assert await history(rows, workspace) == []


async def test_the_brake_holds_and_force_lifts_it_for_this_sweep(
    operator: Operator, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    workspaces = [await online(rows, fake_daemon, None) for _ in range(5)]
    held = await operator.json("sweep", "--once")
    assert (held["held"], held["marked_offline"]) == (5, 0)
    forced = await operator.json("sweep", "--once", "--force")
    assert (forced["held"], forced["marked_offline"]) == (0, 5)
    assert {await status(rows, workspace) for workspace in workspaces} == {"offline"}


async def test_without_docker_it_says_so_and_changes_nothing(
    operator: Operator, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    workspace = await online(rows, fake_daemon, State("exited"))
    await fake_daemon.stop()
    ended = await operator.does("sweep", "--once", "--json")
    assert (ended.json["unknown"], ended.json["marked_offline"]) == (1, 0)
    assert json.loads(ended.stderr.splitlines()[0])["event"] == "engine.unreachable"
    assert await status(rows, workspace) == "online"
