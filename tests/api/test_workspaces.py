"""Workspaces as the operator makes and sees them, and what became of them."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.api.calls import UNKNOWN_ID, beat, create
from tests.api.conftest import StartApi
from tests.support.api import Api
from tests.support.rows import add_row, add_token, read_row, read_told

KEYS = [
    "id",
    "name",
    "role",
    "tier",
    "status",
    "status_reason",
    "status_changed_at",
    "runtime",
    "url",
    "parent_id",
    "agent_card",
    "last_heartbeat_at",
    "last_error_rate",
    "last_sample_error",
    "active_tasks",
    "uptime_seconds",
    "current_task",
    "created_at",
    "updated_at",
]


async def test_a_new_workspace_is_offline_until_it_is_seen(api: Api, database: asyncpg.Connection) -> None:
    here = api.position
    answer = await create(api, name="  one  ", role="writer", tier=3, something="else")
    assert (answer.status, answer.json.keys(), answer.json["status"]) == (201, {"id", "status"}, "offline")
    row = answer.json["id"]
    shown = (await api.call("GET", f"/workspaces/{row}", token=api.admin_token)).json
    assert list(shown) == KEYS
    assert {key: shown[key] for key in KEYS if key not in ("id", "created_at", "updated_at")} == {
        **dict.fromkeys(KEYS[10:17]),
        "name": "one",
        "role": "writer",
        "tier": 3,
        "status": "offline",
        "status_reason": "created",
        "status_changed_at": shown["created_at"],
        "runtime": "langgraph",
        "url": None,
        "parent_id": None,
    }
    assert datetime.fromisoformat(shown["created_at"]).utcoffset() is not None
    (told,) = await read_told(database, row)
    assert (told["from_status"], told["to_status"], told["reason"], told["detected_by"]) == (
        None,
        "offline",
        "created",
        "request",
    )
    line = await api.event("workspace.created", after=here, workspace_id=row)
    assert line["request_id"] == told["cause_id"] == answer.headers["X-Request-Id"]


async def test_an_external_workspace_without_a_url_is_connected_by_its_token(api: Api) -> None:
    for body in (
        {"external": True},
        {"runtime": "external"},
        {"runtime": "kimi"},
        {"external": True, "url": ""},
    ):
        answer = await create(api, **body)
        assert answer.status == 201
        assert answer.json.keys() == {"id", "status", "external", "connection"}
        connection = answer.json["connection"]
        assert connection == {
            "workspace_id": answer.json["id"],
            "platform_url": api.url,
            "auth_token": connection["auth_token"],
            "registry_endpoint": f"{api.url}/registry/register",
            "heartbeat_endpoint": f"{api.url}/registry/heartbeat",
        }
        assert (await beat(api, answer.json["id"])).status == 401
        assert (await beat(api, answer.json["id"], token=connection["auth_token"])).status == 200


async def test_an_external_workspace_with_a_url_gets_its_token_on_register(api: Api) -> None:
    for url in ("remote://no-inbound", "https://agent.example.com"):
        answer = await create(api, external=True, url=url)
        assert answer.json == {"id": answer.json["id"], "status": "offline", "external": True}
        body = {"id": answer.json["id"], "url": url, "agent_card": {}}
        assert len((await api.call("POST", "/registry/register", body)).json["auth_token"]) == 43


@pytest.mark.parametrize(
    ("body", "runtime"),
    [
        ({"external": True}, "external"),
        ({"external": True, "runtime": "langgraph"}, "external"),
        ({"external": True, "runtime": "kimi-cli"}, "kimi-cli"),
        ({"external": False, "runtime": "hermes"}, "hermes"),
        ({"runtime": ""}, "langgraph"),
        ({"runtime": None, "external": None}, "langgraph"),
        ({"runtime": "never-heard-of"}, "never-heard-of"),
    ],
)
async def test_which_runtime_it_has(
    api: Api, database: asyncpg.Connection, body: dict[str, Any], runtime: str
) -> None:
    assert (await read_row(database, (await create(api, **body)).json["id"]))["runtime"] == runtime


async def test_agents_are_told_the_public_url(start_api: StartApi) -> None:
    async with start_api(PUBLIC_URL="https://sweep.example.com/") as api:
        connection = (await create(api, external=True)).json["connection"]
    assert connection["platform_url"] == "https://sweep.example.com"
    assert connection["heartbeat_endpoint"] == "https://sweep.example.com/registry/heartbeat"


@pytest.mark.parametrize(
    ("body", "error", "code"),
    [
        ({"name": None}, "name is required", "invalid_request"),
        ({"name": "  "}, "name is required", "invalid_request"),
        ({"name": 5}, "invalid request body", "invalid_body"),
        ({"name": "n" * 257}, "name must be at most 256 characters", "invalid_request"),
        ({"runtime": "r" * 65}, "runtime must be at most 64 characters", "invalid_request"),
        ({"runtime": ["external"]}, "invalid request body", "invalid_body"),
        ({"external": "yes"}, "invalid request body", "invalid_body"),
        ({"role": 1}, "invalid request body", "invalid_body"),
        ({"tier": "1"}, "tier must be a whole number from 0 to 2147483647", "invalid_request"),
        ({"tier": 1.5}, "tier must be a whole number from 0 to 2147483647", "invalid_request"),
        ({"tier": True}, "tier must be a whole number from 0 to 2147483647", "invalid_request"),
        ({"tier": 2**31}, "tier must be a whole number from 0 to 2147483647", "invalid_request"),
        ({"parent_id": "x"}, "invalid workspace ID", "invalid_workspace_id"),
        ({"parent_id": UNKNOWN_ID}, "parent_id must name an existing workspace", "parent_not_found"),
        ({"url": "ftp://a"}, 'url scheme must be http or https, got "ftp"', "invalid_agent_url"),
        (
            {"url": "remote://no-inbound"},
            'url scheme must be http or https, got "remote"',
            "invalid_agent_url",
        ),
        (
            {"external": True, "url": "http://169.254.169.254"},
            "url targets a blocked address: metadata service",
            "invalid_agent_url",
        ),
    ],
    ids=str,
)
async def test_what_cannot_be_created(
    api: Api, database: asyncpg.Connection, body: dict[str, Any], error: str, code: str
) -> None:
    before = await database.fetchval("SELECT count(*) FROM workspaces")
    answer = await create(api, **body)
    assert (answer.status, answer.json["error"], answer.json["code"]) == (400, error, code)
    assert await database.fetchval("SELECT count(*) FROM workspaces") == before


async def test_a_removed_workspace_has_no_new_children(api: Api, database: asyncpg.Connection) -> None:
    answer = await create(api, parent_id=await add_row(database, "removed"))
    assert (answer.status, answer.json["code"]) == (400, "parent_not_found")


async def test_all_that_are_not_removed_are_listed_by_name(api: Api, database: asyncpg.Connection) -> None:
    mark = uuid4().hex
    rows = {name: await add_row(database, name=f"{mark} {name}", runtime=None) for name in ("b", "a", "c")}
    gone = await add_row(database, "removed", name=f"{mark} 0")
    listed = (await api.call("GET", "/workspaces", token=api.admin_token)).json
    mine = [row for row in listed if row["name"].startswith(mark)]
    assert [row["id"] for row in mine] == [rows["a"], rows["b"], rows["c"]]
    assert gone not in {row["id"] for row in listed}
    assert list(mine[0]) == KEYS
    assert mine[0]["runtime"] == "langgraph", "a row without a runtime counts as one"
    token = await add_token(database, rows["a"])
    assert (await api.call("GET", f"/workspaces/{rows['a']}", token=token)).json == mine[0]


async def test_a_reason_is_shown_while_it_is_the_statuss_own(api: Api, database: asyncpg.Connection) -> None:
    row = await add_row(database, "offline", told=("online", "exited"))
    path = f"/workspaces/{row}"
    shown = (await api.call("GET", path, token=api.admin_token)).json
    assert (shown["status_reason"], shown["status_changed_at"] is not None) == ("exited", True)
    await database.execute("UPDATE workspaces SET status = 'failed' WHERE id = $1", UUID(row))
    shown = (await api.call("GET", path, token=api.admin_token)).json
    assert (shown["status_reason"], shown["status_changed_at"]) == (None, None)


async def test_its_history_newest_first(api: Api, database: asyncpg.Connection) -> None:
    row = (await create(api)).json["id"]
    for error_rate in (0, 1, 0):
        assert (await beat(api, row, error_rate=error_rate)).status == 200
    path = f"/workspaces/{row}/history"
    transitions = (await api.call("GET", path, token=api.admin_token)).json["transitions"]
    assert [(told["from"], told["to"], told["reason"]) for told in transitions] == [
        ("degraded", "online", "recovered"),
        ("online", "degraded", "error_rate"),
        ("offline", "online", "heartbeat"),
        (None, "offline", "created"),
    ]
    assert sorted((told["at"] for told in transitions), reverse=True) == [told["at"] for told in transitions]
    for query, number in (("?limit=2", 2), ("?limit=0", 1), ("?limit=99999999999", 4), ("?limit=", 4)):
        answer = await api.call("GET", path + query, token=api.admin_token)
        assert len(answer.json["transitions"]) == number
    wrong = await api.call("GET", f"{path}?limit=many", token=api.admin_token)
    assert (wrong.status, wrong.json["error"]) == (400, "limit must be a whole number from 1 to 1000")
