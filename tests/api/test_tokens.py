"""Tokens: made, shown once, listed, revoked, and never seen again."""

import asyncio
import hashlib
import json
from uuid import UUID, uuid4

import asyncpg
import pytest

from shared.presence import PRESENCE_EVERY_S
from tests.api.calls import beat
from tests.support.api import Answer, Api
from tests.support.rows import add_row, add_token, read_row


async def issue(api: Api, workspace_id: str, token: str) -> Answer:
    return await api.call("POST", f"/workspaces/{workspace_id}/tokens", token=token)


async def test_a_token_is_issued_and_stored_as_its_digest(api: Api, database: asyncpg.Connection) -> None:
    row = await add_row(database)
    here = api.position
    answer = await issue(api, row, api.admin_token)
    assert (answer.status, answer.json.keys()) == (201, {"auth_token", "workspace_id", "message"})
    token = answer.json["auth_token"]
    assert (len(token), answer.json["workspace_id"]) == (43, row)
    (stored,) = await database.fetch("SELECT * FROM workspace_auth_tokens WHERE workspace_id = $1", UUID(row))
    assert stored["token_hash"] == hashlib.sha256(token.encode()).digest()
    assert stored["prefix"] == token[:8]
    assert token not in str(dict(stored))
    line = await api.event("token.issued", after=here, workspace_id=row)
    assert line["token_prefix"] == token[:8]
    assert (await issue(api, row, token)).status == 201, "an agent may make another for itself"


async def test_live_tokens_are_listed_newest_first(api: Api, database: asyncpg.Connection) -> None:
    row = await add_row(database)
    tokens = [await add_token(database, row) for _ in range(5)]
    await add_token(database, row, revoked=True)
    path = f"/workspaces/{row}/tokens"
    answer = (await api.call("GET", path, token=tokens[0])).json
    assert answer["count"] == len(answer["tokens"]) == 5
    assert [shown["prefix"] for shown in answer["tokens"]] == [token[:8] for token in reversed(tokens)]
    assert {tuple(shown) for shown in answer["tokens"]} == {("id", "prefix", "created_at", "last_used_at")}
    for query, expected in (
        ("?limit=2", [4, 3]),
        ("?limit=2&offset=4", [0]),
        ("?offset=9", []),
        ("?limit=0", [4]),
        ("?limit=1000", [4, 3, 2, 1, 0]),
        ("?offset=-1", [4, 3, 2, 1, 0]),
        ("?offset=" + "9" * 30, []),
    ):
        page = (await api.call("GET", path + query, token=tokens[0])).json
        assert [shown["prefix"] for shown in page["tokens"]] == [tokens[index][:8] for index in expected]
        assert page["count"] == len(expected)
    for query, error in (
        ("?limit=x", "limit must be a whole number from 1 to 50"),
        ("?offset=1.5", "offset must be a whole number from 0 to 2147483647"),
        ("?offset=" + "9" * 5000, "offset must be a whole number from 0 to 2147483647"),
    ):
        wrong = await api.call("GET", path + query, token=tokens[0])
        assert (wrong.status, wrong.json["error"]) == (400, error)


async def test_a_workspace_has_at_most_fifty(api: Api, database: asyncpg.Connection) -> None:
    row = await add_row(database)
    for _ in range(47):
        await add_token(database, row)
    await add_token(database, row, revoked=True)
    answers = await asyncio.gather(*(issue(api, row, api.admin_token) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [*[201] * 3, *[429] * 5]
    refused = next(answer for answer in answers if answer.status == 429)
    assert (refused.json["error"], refused.json["code"]) == (
        "maximum 50 active tokens per workspace",
        "too_many_tokens",
    )


async def test_a_revoked_token_opens_nothing(api: Api, database: asyncpg.Connection) -> None:
    row, other = await add_row(database), await add_row(database)
    token, second = await add_token(database, row), await add_token(database, row)
    foreign = await add_token(database, other)
    path = f"/workspaces/{row}/tokens"
    listed = {
        shown["prefix"]: shown["id"] for shown in (await api.call("GET", path, token=token)).json["tokens"]
    }
    theirs = f"/workspaces/{other}/tokens/{listed[second[:8]]}"
    assert (await api.call("DELETE", theirs, token=foreign)).status == 404, "only one's own"
    here = api.position
    answer = await api.call("DELETE", f"{path}/{listed[second[:8]]}", token=token)
    assert (answer.status, answer.json) == (200, {"status": "revoked"})
    line = await api.event("token.revoked", after=here, workspace_id=row)
    assert line["token_prefix"] == second[:8]
    assert (await beat(api, row, token=second)).status == 401
    assert (await api.call("GET", path, token=second)).status == 401
    for token_id in (listed[second[:8]], str(uuid4()), "no-uuid"):
        missing = await api.call("DELETE", f"{path}/{token_id}", token=token)
        assert (missing.status, missing.json["error"], missing.json["code"]) == (
            404,
            "token not found or already revoked",
            "token_not_found",
        )
    assert (await api.call("DELETE", f"{path}/{listed[token[:8]]}", token=token)).status == 200, "the last"
    assert (await beat(api, row)).status == 401, "which does not open it again"


async def test_when_a_token_was_used_is_noted_now_and_then(api: Api, database: asyncpg.Connection) -> None:
    row = await add_row(database)
    by_beat, by_path, never = [await add_token(database, row) for _ in range(3)]
    assert (await beat(api, row, token=by_beat)).status == 200
    assert (await api.call("GET", f"/workspaces/{row}/state", token=by_path)).status == 200
    used = "SELECT prefix FROM workspace_auth_tokens WHERE workspace_id = $1 AND last_used_at IS NOT NULL"
    async with asyncio.timeout(PRESENCE_EVERY_S + 5):
        while len(seen := {found["prefix"] for found in await database.fetch(used, UUID(row))}) < 2:
            await asyncio.sleep(0.1)
    assert seen == {by_beat[:8], by_path[:8]}
    assert never[:8] not in seen


async def test_no_token_is_ever_logged(api: Api, database: asyncpg.Connection) -> None:
    row = await add_row(database)
    body = {"id": row, "agent_card": {}}
    tokens = [(await api.call("POST", "/registry/register", body)).json["auth_token"], "a-wrong-token"]
    tokens += [(await issue(api, row, tokens[0])).json["auth_token"], api.admin_token]
    for token in tokens:
        await beat(api, row, token=token)
        await api.call("GET", "/workspaces", token=token)
        await api.call("GET", f"/workspaces/{row}", token=token)
        await api.call("GET", f"/workspaces/{row}?token={token}", token=token)
    await asyncio.sleep(0.1)
    said = json.dumps(api.lines) + "\n".join(api.noise)
    assert not [token for token in tokens if token in said]
    assert (await read_row(database, row))["status"] == "online"


@pytest.mark.parametrize("header", ["bearer {}", "BEARER {}", "Bearer   {}  ", "Bearer\t{}"])
async def test_a_scheme_in_any_case_and_a_trimmed_token(
    api: Api, database: asyncpg.Connection, header: str
) -> None:
    row = await add_row(database)
    headers = {"Authorization": header.format(await add_token(database, row))}
    expected = 401 if "\t" in header else 200
    assert (await api.call("GET", f"/workspaces/{row}/state", headers=headers)).status == expected
