"""What each verb of `healthsweep` prints and does. What it refuses: test_command_refusals."""

import asyncio
import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from shared.database import migrations
from shared.settings import Settings
from shared.transitions import STATUSES
from tests.deploy.operator import ROW_KEYS, Operator, history
from tests.support.postgres import PostgresServer
from tests.support.rows import add_row

pytestmark = pytest.mark.usefixtures("processes")

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


# workspace add


async def test_add_prints_the_row(operator: Operator, rows: asyncpg.Connection) -> None:
    row = await operator.json("workspace", "add", "reviewer")
    assert list(row) == ROW_KEYS
    assert str(UUID(row["id"])) == row["id"]
    assert TIME.fullmatch(row["status_changed_at"])
    assert {key: row[key] for key in ROW_KEYS if key not in ("id", "status_changed_at")} == {
        "name": "reviewer",
        "runtime": "langgraph",
        "status": "offline",
        "status_reason": "created",
        "last_heartbeat_at": None,
    }
    assert await history(rows, row["id"]) == [(None, "offline", "created", "command")]


async def test_add_takes_an_id_and_a_runtime(operator: Operator) -> None:
    wanted = str(uuid4())
    row = await operator.json("workspace", "add", "für 日本", "--id", wanted.upper(), "--runtime", "hermes")
    assert (row["id"], row["name"], row["runtime"]) == (wanted, "für 日本", "hermes")


async def test_add_takes_every_status(operator: Operator) -> None:
    for two in zip(STATUSES[::2], STATUSES[1::2], strict=True):
        added = [operator.json("workspace", "add", "x", "--status", status) for status in two]
        rows = await asyncio.gather(*added)
        assert [(row["status"], row["status_reason"]) for row in rows] == [(s, "created") for s in two]
    listed = await operator.json("status")
    assert {row["status"] for row in listed} == set(STATUSES) - {"removed"}


async def test_an_external_one_comes_with_what_its_agent_has_to_know(operator: Operator) -> None:
    row = await operator.json(
        "workspace", "add", "remote", "--runtime", "external", PUBLIC_URL="https://sweep.example.org"
    )
    assert list(row) == [*ROW_KEYS, "connection"]
    assert {**row["connection"], "auth_token": len(row["connection"]["auth_token"])} == {
        "workspace_id": row["id"],
        "platform_url": "https://sweep.example.org",
        "auth_token": 43,
        "registry_endpoint": "https://sweep.example.org/registry/register",
        "heartbeat_endpoint": "https://sweep.example.org/registry/heartbeat",
    }


async def test_on_a_platform_database(platform_database_url: str, tmp_path: Path) -> None:
    operator = Operator(tmp_path, DATABASE_URL=platform_database_url)
    assert await operator.json("migrate") == {"applied": [migration.name for migration in migrations()]}
    row = await operator.json("workspace", "add", "theirs", "--status", "online")
    assert (await operator.json("workspace", "pause", row["id"]))["status"] == "paused"
    assert [listed["id"] for listed in await operator.json("status")] == [row["id"]]
    assert (await operator.json("workspace", "remove", row["id"]))["status"] == "removed"


# status, and workspace list


@pytest.mark.parametrize("verb", [("status",), ("workspace", "list")], ids=" ".join)
async def test_status_is_an_array_of_rows(
    verb: tuple[str, ...], operator: Operator, rows: asyncpg.Connection
) -> None:
    for name in ("b", "a", "a"):
        await operator.does("workspace", "add", name)
    beat = datetime(2026, 5, 1, 12, 0, 0, 500_000, timezone(timedelta(hours=2)))
    odd = await add_row(rows, runtime=None, name=None, last_heartbeat_at=beat)
    await add_row(rows, "removed")
    listed = await operator.json(*verb)
    assert [list(row) for row in listed] == [ROW_KEYS] * 4
    assert [row["name"] for row in listed] == ["a", "a", "b", None]
    assert listed[0]["id"] < listed[1]["id"]
    assert listed[3] == {
        "id": odd,
        "name": None,
        "runtime": "langgraph",
        "status": "online",
        "status_reason": None,
        "status_changed_at": None,
        "last_heartbeat_at": "2026-05-01T10:00:00.500Z",
    }


async def test_a_card_that_is_too_deep_breaks_no_list(operator: Operator, rows: asyncpg.Connection) -> None:
    """A platform's server takes what ours refuses."""
    row = await add_row(rows)
    await rows.execute(
        "UPDATE public.workspaces SET agent_card = (repeat('[', 2000) || repeat(']', 2000))::jsonb"
    )
    assert [each["id"] for each in await operator.json("status")] == [row]


async def test_no_workspace_is_an_empty_array(operator: Operator) -> None:
    assert await operator.json("status") == []


async def test_a_reason_is_shown_only_while_the_status_is_the_one_that_it_gave(
    operator: Operator, rows: asyncpg.Connection
) -> None:
    row = await operator.json("workspace", "add", "x")
    await rows.execute("UPDATE public.workspaces SET status = 'failed'")
    (listed,) = await operator.json("status")
    assert (listed["id"], listed["status"], listed["status_reason"]) == (row["id"], "failed", None)
    assert listed["status_changed_at"] is None


async def test_in_a_pipe_the_table_is_plain_lines(operator: Operator) -> None:
    name = "[bold]very[/bold] " + "long " * 30
    row = await operator.json("workspace", "add", name)
    heading, line = (await operator.does("status")).stdout.splitlines()
    assert heading.split() == ["NAME", "STATUS", "REASON", "SINCE", "HEARTBEAT", "RUNTIME", "ID"]
    assert name.strip() in line
    assert line.split()[-1] == row["id"]
    assert "\x1b" not in heading + line


# workspace pause, resume and remove


@pytest.mark.parametrize("before", ["online", "degraded", "offline"])
async def test_pause(before: str, operator: Operator, rows: asyncpg.Connection) -> None:
    workspace = await add_row(rows, before)
    row = await operator.json("workspace", "pause", workspace)
    assert list(row) == ROW_KEYS
    assert (row["id"], row["status"], row["status_reason"]) == (workspace, "paused", "paused")
    assert await history(rows, workspace) == [(before, "paused", "paused", "command")]


async def test_resume_is_offline_until_it_is_seen(operator: Operator, rows: asyncpg.Connection) -> None:
    workspace = await add_row(rows, "paused")
    row = await operator.json("workspace", "resume", workspace)
    assert list(row) == ROW_KEYS
    assert (row["status"], row["status_reason"]) == ("offline", "resumed")
    assert await history(rows, workspace) == [("paused", "offline", "resumed", "command")]


async def test_remove_takes_descendants_and_tokens_and_leaves_the_rows(
    operator: Operator, rows: asyncpg.Connection
) -> None:
    top = await add_row(rows, "online")
    child = await add_row(rows, "offline", parent_id=UUID(top))
    grandchild = await add_row(rows, "paused", parent_id=UUID(child))
    other = await add_row(rows, "online")
    for workspace in (grandchild, other):
        token = (
            "INSERT INTO public.workspace_auth_tokens (workspace_id, token_hash, prefix) VALUES ($1, $2, 'x')"
        )
        await rows.execute(token, UUID(workspace), workspace.encode())
    removed = await operator.json("workspace", "remove", top)
    assert removed == {"id": top, "status": "removed", "cascade_deleted": 2}
    assert [row["id"] for row in await operator.json("status")] == [other]
    assert await rows.fetchval("SELECT count(*) FROM public.workspaces") == 4
    live = await rows.fetch("SELECT workspace_id FROM public.workspace_auth_tokens WHERE revoked_at IS NULL")
    assert [str(row["workspace_id"]) for row in live] == [other]
    assert await history(rows, grandchild) == [("paused", "removed", "removed", "command")]
    again = await operator.json("workspace", "remove", top)
    assert again == {"id": top, "status": "removed", "cascade_deleted": 0}
    assert len(await history(rows, top)) == 1


# migrate and config


async def test_migrate(operator: Operator, postgres: PostgresServer) -> None:
    url = await postgres.create_database()
    names = [migration.name for migration in migrations()]
    first = await operator.does("migrate", "--json", DATABASE_URL=url)
    assert first.json == {"applied": names}
    logged = [json.loads(line) for line in first.stderr.splitlines()]
    assert [(line["event"], line["level"], line["name"]) for line in logged] == [
        ("migration.applied", "info", name) for name in names
    ]
    assert all(line["duration_ms"] >= 0 for line in logged)
    again = await operator.does("migrate", "--json", DATABASE_URL=url)
    assert (again.json, again.stderr) == ({"applied": []}, "")
    assert (await operator.does("migrate", DATABASE_URL=url)).stdout == "nothing to do\n"


async def test_config_is_what_is_in_force_without_secrets(operator: Operator) -> None:
    variables = {
        "ADMIN_TOKEN": "hunter2",
        "SWEEP_INTERVAL": "2m",
        "DATABASE_URL": "postgresql://u:hunter2@h/d",
    }
    shown = await operator.json("config", **variables)
    assert set(shown) == set(Settings.load({}).shown())
    assert (shown["SWEEP_INTERVAL"], shown["ADMIN_TOKEN"], shown["DATABASE_URL"]) == (120, "(set)", "(set)")
    table = (await operator.does("config", **variables)).stdout
    assert [line.split()[0] for line in table.splitlines()[1:]] == list(shown)
    assert "hunter2" not in table
