"""Remote agents: who may call, their cards, their states, and a day in the life of one."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.api.calls import CARD, UNKNOWN_ID
from tests.support.api import Api
from tests.support.rows import add_row, add_token, read_row


async def test_who_may_register(api: Api, database: asyncpg.Connection) -> None:
    removed, never = await add_row(database, "removed"), await add_row(database, "removed")
    of_removed = await add_token(database, removed, revoked=True)
    for path, key in (("register", "id"), ("update-card", "workspace_id")):
        for workspace_id, token, status, error in (
            (UNKNOWN_ID, None, 404, "workspace not found"),
            (UNKNOWN_ID, "token", 404, "workspace not found"),
            (removed, api.admin_token, 404, "workspace not found"),
            (removed, of_removed, 401, "invalid workspace auth token"),
            (removed, None, 401, "missing workspace auth token"),
            (never, None, 401, "missing workspace auth token"),
            ("no-uuid", None, 400, "invalid workspace ID"),
        ):
            body = {key: workspace_id, "agent_card": {}}
            answer = await api.call("POST", f"/registry/{path}", body, token=token)
            assert (answer.status, answer.json["error"]) == (status, error)


async def test_a_card_is_replaced(api: Api, database: asyncpg.Connection) -> None:
    row = await add_row(database, "offline")
    token = await add_token(database, row)
    body = {"workspace_id": row, "agent_card": CARD}
    assert (await api.call("POST", "/registry/update-card", body)).status == 401
    answer = await api.call("POST", "/registry/update-card", body, token=token)
    assert (answer.status, answer.json) == (200, {"status": "updated"})
    shown = (await api.call("GET", f"/workspaces/{row}", token=token)).json
    assert (shown["agent_card"], shown["status"]) == (CARD, "offline"), "a card is no heartbeat"
    wrong = await api.call("POST", "/registry/update-card", {**body, "agent_card": [1]}, token=token)
    assert (wrong.status, wrong.json["error"]) == (400, "agent_card is required and must be an object")


@pytest.mark.parametrize("status", ["online", "offline", "degraded", "provisioning", "paused", "hibernated"])
async def test_an_agent_asks_for_its_state(api: Api, database: asyncpg.Connection, status: str) -> None:
    row = await add_row(database, status)
    token = await add_token(database, row)
    answer = await api.call("GET", f"/workspaces/{row}/state", token=token)
    assert (answer.status, answer.json) == (
        200,
        {"workspace_id": row, "status": status, "paused": status == "paused", "deleted": False},
    )


class RemoteAgent:
    """What the Python SDK sends and reads: a register without any token, then heartbeats and states."""

    def __init__(self, api: Api, workspace_id: str) -> None:
        self._api = api
        self._workspace_id = workspace_id
        self.token = ""

    async def register(self) -> None:
        body = {"id": self._workspace_id, "url": "remote://no-inbound", "agent_card": {"name": "sdk"}}
        answer = await self._api.call("POST", "/registry/register", body)
        assert answer.status == 200
        self.token = answer.json.get("auth_token", "") or self.token

    async def heartbeat(self) -> int:
        body = {
            "workspace_id": self._workspace_id,
            "current_task": "",
            "active_tasks": 0,
            "error_rate": 0.0,
            "sample_error": "",
            "uptime_seconds": 7,
        }
        return (await self._api.call("POST", "/registry/heartbeat", body, token=self.token)).status

    async def poll_state(self) -> dict[str, Any]:
        """It takes every 404 for a removal, and ends."""
        answer = await self._api.call("GET", f"/workspaces/{self._workspace_id}/state", token=self.token)
        if answer.status == 404:
            return {"status": "removed", "paused": False, "deleted": True}
        assert answer.status == 200
        return {key: answer.json[key] for key in ("status", "paused", "deleted")}


async def test_a_day_of_a_remote_agent(api: Api, database: asyncpg.Connection) -> None:
    body = {"name": "remote", "external": True, "url": "remote://no-inbound"}
    created = await api.call("POST", "/workspaces", body, token=api.admin_token)
    assert created.json.keys() == {"id", "status", "external"}
    row = created.json["id"]
    agent = RemoteAgent(api, row)
    await agent.register()
    assert (await read_row(database, row))["url"] == "remote://no-inbound"
    assert await agent.poll_state() == {"status": "online", "paused": False, "deleted": False}
    assert await agent.heartbeat() == 200

    await database.execute("UPDATE workspaces SET status = 'paused' WHERE id = $1", UUID(row))
    assert await agent.heartbeat() == 200
    assert await agent.poll_state() == {"status": "paused", "paused": True, "deleted": False}
    await database.execute("UPDATE workspaces SET status = 'offline' WHERE id = $1", UUID(row))
    assert await agent.heartbeat() == 200
    assert (await agent.poll_state())["status"] == "online"

    assert (await api.call("DELETE", f"/workspaces/{row}", token=api.admin_token)).status == 200
    assert await agent.heartbeat() == 404
    assert await agent.poll_state() == {"status": "removed", "paused": False, "deleted": True}
