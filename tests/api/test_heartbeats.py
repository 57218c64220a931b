"""Heartbeats: who may, what is kept, what they make of a status."""

import asyncio
import json
from typing import Any, NamedTuple

import asyncpg
import pytest

from shared.database import migrate
from tests.api.calls import UNKNOWN_ID, beat
from tests.api.conftest import StartApi
from tests.support.api import Api
from tests.support.postgres import connected
from tests.support.rows import add_row, add_token, read_row, read_told

FINE: dict[str, Any] = {}
TROUBLE = {"error_rate": 0.5}
SOME_TROUBLE = {"error_rate": 0.3}
WEDGED = {"runtime_state": "wedged"}


class Makes(NamedTuple):
    """A row of the table: `told` is the status before and the reason, of our newest history row."""

    status: str
    told: tuple[str | None, str] | None
    says: dict[str, Any]
    becomes: str
    reason: str | None


MAKES = [
    Makes("offline", None, FINE, "online", "heartbeat"),
    Makes("offline", None, TROUBLE, "degraded", "error_rate"),
    Makes("offline", None, WEDGED, "degraded", "wedged"),
    Makes("offline", (None, "created"), FINE, "online", "heartbeat"),
    Makes("offline", ("online", "heartbeat_stale"), FINE, "online", "heartbeat"),
    Makes("offline", ("online", "heartbeat_stale"), TROUBLE, "degraded", "error_rate"),
    Makes("offline", ("paused", "resumed"), FINE, "online", "heartbeat"),
    Makes("awaiting_agent", None, FINE, "online", "heartbeat"),
    Makes("awaiting_agent", None, WEDGED, "degraded", "wedged"),
    Makes("provisioning", None, FINE, "online", "heartbeat"),
    Makes("provisioning", None, TROUBLE, "online", "heartbeat"),
    Makes("online", None, FINE, "online", None),
    Makes("online", None, {"error_rate": 0.49}, "online", None),
    Makes("online", None, TROUBLE, "degraded", "error_rate"),
    Makes("online", None, WEDGED, "degraded", "wedged"),
    Makes("online", None, {"runtime_state": "fine"}, "online", None),
    Makes("degraded", None, FINE, "online", "recovered"),
    Makes("degraded", None, {"error_rate": 0.09}, "online", "recovered"),
    Makes("degraded", None, {"error_rate": 0.1}, "degraded", None),
    Makes("degraded", None, SOME_TROUBLE, "degraded", None),
    Makes("degraded", None, WEDGED, "degraded", None),
    *[
        Makes("offline", ("online", reason), FINE, "offline", None)
        for reason in ("missing", "created", "exited", "paused", "restarting", "removing", "dead")
    ],
    Makes("offline", ("degraded", "exited"), TROUBLE, "offline", None),
    *[
        Makes(status, None, FINE, status, None)
        for status in ("failed", "paused", "hibernated", "hibernating", "a-word-from-the-future")
    ],
]


@pytest.mark.parametrize("row_of_table", MAKES, ids=lambda makes: "-".join(map(str, makes)).replace(" ", ""))
async def test_what_a_heartbeat_makes_of_a_status(
    api: Api, database: asyncpg.Connection, row_of_table: Makes
) -> None:
    status, told, says, becomes, reason = row_of_table
    row = await add_row(database, status, told=told)
    here, history = api.position, len(await read_told(database, row))

    assert (await beat(api, row, **says)).json == {"status": "ok"}

    after = await read_row(database, row)
    assert after["status"] == becomes
    assert after["last_heartbeat_at"] is not None
    new = (await read_told(database, row))[history:]
    marks = [line for line in api.lines[here:] if line["event"].startswith("workspace.marked_")]
    if reason is None:
        assert (new, marks) == ([], [])
        return
    (transition,) = new
    assert (transition["from_status"], transition["to_status"], transition["reason"]) == (
        status,
        becomes,
        reason,
    )
    assert transition["detected_by"] == "heartbeat"
    (line,) = marks
    assert line["event"] == f"workspace.marked_{becomes}"
    assert {
        key: line[key] for key in ("workspace_id", "previous", "reason", "detected_by", "request_id")
    } == {
        "workspace_id": row,
        "previous": status,
        "reason": reason,
        "detected_by": "heartbeat",
        "request_id": transition["cause_id"],
    }
    if status != "provisioning":
        assert (await beat(api, row, **says)).status == 200
        assert len(await read_told(database, row)) == history + 1, "the same beat again is no news"


@pytest.mark.parametrize("runtime", ["langgraph", "claude-code", "external", "kimi", "", None, "unheard-of"])
async def test_a_heartbeat_heals_whatever_the_runtime(
    api: Api, database: asyncpg.Connection, runtime: str | None
) -> None:
    row = await add_row(database, "offline", runtime=runtime, told=("online", "heartbeat_stale"))
    assert (await beat(api, row)).status == 200
    assert (await read_row(database, row))["status"] == "online"


async def test_a_status_that_nobody_writes_is_left_alone(api: Api, database: asyncpg.Connection) -> None:
    row = await add_row(database, "offline", runtime="mock")
    assert (await beat(api, row, active_tasks=3)).status == 200
    after = await read_row(database, row)
    assert (after["status"], after["active_tasks"]) == ("offline", 3)


async def test_listeners_are_told_of_a_transition(api: Api, database: asyncpg.Connection) -> None:
    row = await add_row(database, "offline")
    heard: asyncio.Queue[str] = asyncio.Queue()
    await database.add_listener("healthsweep", lambda *notice: heard.put_nowait(notice[3]))
    assert (await beat(api, row)).status == 200
    async with asyncio.timeout(5):
        while (notice := json.loads(await heard.get()))["workspace_id"] != row:
            pass
    assert notice == {"workspace_id": row, "from": "offline", "to": "online", "reason": "heartbeat"}


async def test_nobody_invents_a_workspace(api: Api, database: asyncpg.Connection) -> None:
    for token in (None, "some-token", api.admin_token):
        answer = await beat(api, UNKNOWN_ID, token=token)
        assert (answer.status, answer.json["code"]) == (404, "workspace_not_found")
        assert answer.json["error"] == "workspace not found"
    assert not await database.fetchval(f"SELECT count(*) FROM workspaces WHERE id = '{UNKNOWN_ID}'")


async def test_who_may(api: Api, database: asyncpg.Connection) -> None:
    row, other = await add_row(database), await add_row(database)
    own, foreign = await add_token(database, row), await add_token(database, other)
    revoked = await add_token(database, row, revoked=True)
    here = api.position
    refused = {
        None: ("missing workspace auth token", "missing"),
        foreign: ("invalid workspace auth token", "mismatch"),
        revoked: ("invalid workspace auth token", "revoked"),
        "never-issued": ("invalid workspace auth token", "mismatch"),
    }
    for token, (error, why) in refused.items():
        answer = await beat(api, row, token=token)
        assert (answer.status, answer.json["error"], answer.json["code"]) == (401, error, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        line = await api.event("auth.rejected", after=here, request_id=answer.json["request_id"])
        assert (line["why"], line.get("token_prefix")) == (why, token and token[:8])
    assert (await read_row(database, row))["last_heartbeat_at"] is None
    for token in (own, api.admin_token, f"  {own}  "):
        assert (await beat(api, row, token=token)).status == 200


async def test_a_wrong_body_is_explained_to_those_who_may_call(
    api: Api, database: asyncpg.Connection
) -> None:
    row = await add_row(database)
    token = await add_token(database, row)
    assert (await beat(api, row, error_rate="x")).status == 401
    assert (await beat(api, UNKNOWN_ID, error_rate="x")).status == 404
    assert (await beat(api, row, error_rate="x", token=token)).json["detail"] == "error_rate must be a number"


async def test_an_agent_of_a_removed_workspace_is_told_so(api: Api, database: asyncpg.Connection) -> None:
    row, never = await add_row(database, "removed"), await add_row(database, "removed")
    removed = {"workspace_id": row, "deleted": True, "status": "removed"}
    for token in (await add_token(database, row), await add_token(database, row, revoked=True)):
        answer = await beat(api, row, token=token)
        assert answer.status == 404
        assert answer.json.items() >= removed.items()
    assert (await beat(api, never)).json.items() >= {**removed, "workspace_id": never}.items()
    assert (await beat(api, row)).status == 401
    assert (await beat(api, row, token="never-issued")).status == 401
    assert (await beat(api, row, token=api.admin_token)).json["code"] == "workspace_not_found"
    after = await read_row(database, row)
    assert (after["status"], after["last_heartbeat_at"]) == ("removed", None)


async def test_a_success_is_no_line_and_is_not_limited(start_api: StartApi, database_url: str) -> None:
    async with start_api(RATE_LIMIT="3") as api, connected(database_url) as connection:
        row = await add_row(connection)
        for _ in range(10):
            answer = await beat(api, row)
            assert answer.status == 200
            assert "X-RateLimit-Limit" not in answer.headers
        assert not api.events("request.completed", route="/registry/heartbeat")


async def test_on_a_platform_database(start_api: StartApi, platform_database_url: str) -> None:
    """Its status may be an enum; rows with an instance live elsewhere; money spent is kept."""
    async with connected(platform_database_url) as connection:
        await migrate(connection)
        async with start_api(DATABASE_URL=platform_database_url) as api:
            row = await add_row(connection, "provisioning")
            elsewhere = await add_row(connection, "provisioning", instance_id="i-1")
            assert (await beat(api, row, monthly_spend=1250)).status == 200
            assert (await beat(api, row, error_rate=0.9)).status == 200
            assert (await beat(api, elsewhere, active_tasks=1)).status == 200
            after, there = await read_row(connection, row), await read_row(connection, elsewhere)
            assert (after["status"], after["monthly_spend"]) == ("degraded", 1250)
            assert (there["status"], there["active_tasks"]) == ("provisioning", 1)
            assert [told["to_status"] for told in await read_told(connection, row)] == ["online", "degraded"]

            registered = await api.call(
                "POST", "/registry/register", {"id": row, "agent_card": {}, "url": ""}
            )
            assert registered.status == 200
            token = registered.json["auth_token"]
            assert (await beat(api, row, token=token)).status == 200
            created = await api.call(
                "POST", "/workspaces", {"name": "child", "parent_id": row}, token=api.admin_token
            )
            assert created.status == 201
            removed = await api.call("DELETE", f"/workspaces/{row}?confirm=true", token=api.admin_token)
            assert removed.json == {"status": "removed", "cascade_deleted": 1}
            assert (await beat(api, row, token=token)).json["deleted"] is True
