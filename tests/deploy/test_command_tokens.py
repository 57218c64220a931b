"""The command's side of tokens and of remote agents; what it makes is used on a running api."""

import json
from pathlib import Path

import asyncpg
import pytest

from tests.deploy.operator import NOBODY, ROW_KEYS, Operator
from tests.support.api import Api, running_api
from tests.support.postgres import connected
from tests.support.rows import add_row, add_token, read_row, read_told


@pytest.fixture
def operator(database_url: str, home: Path) -> Operator:
    return Operator(home, DATABASE_URL=database_url, PORT="8099")


async def beat(api: Api, workspace_id: str, token: str | None) -> int:
    body = {"workspace_id": workspace_id}
    return (await api.call("POST", "/registry/heartbeat", body, token=token)).status


async def register(api: Api, workspace_id: str) -> tuple[int, str | None]:
    body = {"id": workspace_id, "agent_card": {}}
    answer = await api.call("POST", "/registry/register", body)
    return answer.status, answer.json.get("auth_token")


async def test_a_token_from_its_issue_to_its_end(
    operator: Operator, database_url: str, short_directory: Path
) -> None:
    environment = {"DATABASE_URL": database_url, "DOCKER_HOST": f"unix://{short_directory}/none.sock"}
    async with connected(database_url) as connection, running_api(environment, short_directory) as api:
        row = await add_row(connection, "offline")

        issued = await operator.json("token", "issue", row)
        token = issued["auth_token"]
        assert (len(token), issued["workspace_id"]) == (43, row)
        assert await beat(api, row, token) == 200

        (listed,) = await operator.json("token", "list", row)
        assert listed.keys() == {"id", "prefix", "created_at", "last_used_at"}
        assert (listed["id"], listed["prefix"]) == (issued["id"], token[:8])

        revoked = await operator.json("token", "revoke", row, issued["id"])
        assert revoked == {"status": "revoked", "workspace_id": row, "id": issued["id"]}
        assert await beat(api, row, token) == 401
        assert await beat(api, row, None) == 401
        assert await operator.json("token", "list", row) == []
        again = await operator.run("token", "revoke", row, issued["id"])
        assert (again.status, "not found or already revoked" in again.stderr) == (1, True)

        assert await register(api, row) == (401, None)
        other = await add_token(connection, row)
        reset = await operator.json("token", "reset", row)
        assert reset == {"status": "reset", "workspace_id": row, "revoked": 1, "register_within_s": 600}
        assert await beat(api, row, other) == 401
        status, token = await register(api, row)
        assert (status, await beat(api, row, token)) == (200, 200)
        assert await register(api, row) == (401, None)


async def test_what_people_read(operator: Operator, database_url: str) -> None:
    async with connected(database_url) as connection:
        row = await add_row(connection)
    issued = await operator.run("token", "issue", row)
    assert len(issued.stdout.strip()) == 43
    (line,) = map(json.loads, issued.stderr.splitlines())
    assert (line["event"], line["process"], line["token_prefix"]) == (
        "token.issued",
        "command",
        issued.stdout[:8],
    )
    assert issued.stdout.strip() not in issued.stderr
    listed = await operator.run("token", "list", row)
    assert listed.stdout.split()[:2] == ["PREFIX", "CREATED"]
    assert issued.stdout[:8] in listed.stdout
    reset = await operator.run("token", "reset", row)
    assert "revoked 1" in reset.stdout
    assert "10 minutes" in reset.stdout


@pytest.mark.parametrize("verb", ["issue", "reset"])
async def test_there_is_no_token_without_a_workspace(
    operator: Operator, database_url: str, verb: str
) -> None:
    async with connected(database_url) as connection:
        removed = await add_row(connection, "removed")
    for workspace_id in (NOBODY, removed):
        ended = await operator.run("token", verb, workspace_id)
        assert (ended.status, ended.stderr) == (1, f"healthsweep: there is no workspace {workspace_id}\n")
    ended = await operator.run("token", verb, "no-uuid")
    assert (ended.status, "not a workspace id" in ended.stderr) == (1, True)


async def test_at_most_fifty(operator: Operator, database_url: str) -> None:
    async with connected(database_url) as connection:
        row = await add_row(connection)
        for _ in range(50):
            await add_token(connection, row)
    ended = await operator.run("token", "issue", row)
    assert (ended.status, "maximum 50 active tokens per workspace" in ended.stderr) == (1, True)


async def test_an_external_workspace_comes_with_its_connection(operator: Operator, database_url: str) -> None:
    row = await operator.json("workspace", "add", "remote", "--runtime", "external")
    assert list(row) == [*ROW_KEYS, "connection"]
    assert (row["status"], row["status_reason"]) == ("offline", "created")
    token = row["connection"]["auth_token"]
    assert row["connection"] == {
        "workspace_id": row["id"],
        "platform_url": "http://127.0.0.1:8099",
        "auth_token": token,
        "registry_endpoint": "http://127.0.0.1:8099/registry/register",
        "heartbeat_endpoint": "http://127.0.0.1:8099/registry/heartbeat",
    }
    (listed,) = await operator.json("token", "list", row["id"])
    assert listed["prefix"] == token[:8]

    shown = await operator.run(
        "workspace", "add", "kimi", "--runtime", "kimi", PUBLIC_URL="https://s.example.com"
    )
    assert "https://s.example.com/registry/heartbeat" in shown.stdout
    local = await operator.json("workspace", "add", "local")
    assert "connection" not in local
    gone = await operator.json("workspace", "add", "gone", "--runtime", "external", "--status", "removed")
    assert "connection" not in gone
    rows = await operator.json("status")
    assert [(listed["name"], len(listed)) for listed in rows] == [("kimi", 7), ("local", 7), ("remote", 7)]


async def test_an_id_is_taken_once(operator: Operator) -> None:
    assert (await operator.json("workspace", "add", "one", "--id", NOBODY))["id"] == NOBODY
    ended = await operator.run("workspace", "add", "two", "--id", NOBODY, "--runtime", "external")
    assert (ended.status, f"the workspace {NOBODY} exists already" in ended.stderr) == (1, True)


async def test_removal_takes_descendants_and_tokens(operator: Operator, database_url: str) -> None:
    async with connected(database_url) as connection:
        root = await add_row(connection)
        child = await add_row(connection, parent_id=root)
        grandchild = await add_row(connection, "paused", parent_id=child)
        await add_token(connection, grandchild)
        removed = await operator.json("workspace", "remove", root)
        assert removed == {"id": root, "status": "removed", "cascade_deleted": 2}
        for row in (root, child, grandchild):
            assert (await read_row(connection, row))["status"] == "removed"
            assert [told["detected_by"] for told in await read_told(connection, row)] == ["command"]
        assert await live_tokens(connection) == 0
    ended = await operator.run("workspace", "remove", NOBODY)
    assert (ended.status, ended.stderr) == (1, f"healthsweep: there is no workspace {NOBODY}\n")


async def live_tokens(connection: asyncpg.Connection) -> object:
    return await connection.fetchval("SELECT count(*) FROM workspace_auth_tokens WHERE revoked_at IS NULL")
