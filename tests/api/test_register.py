"""Register: the token that it issues, where the agent says it is, and what it makes of the status."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.api.calls import CARD, beat, register
from tests.api.conftest import StartApi
from tests.support.api import Api
from tests.support.postgres import connected
from tests.support.rows import add_row, add_token, read_row, read_told


async def test_the_first_register_issues_the_token_and_counts_as_a_heartbeat(
    api: Api, database: asyncpg.Connection
) -> None:
    row = await add_row(database, "offline", told=(None, "created"))
    here = api.position
    answer = await register(api, row, url="https://agent.example.com/a2a")
    assert answer.status == 200
    assert answer.json.keys() == {"status", "auth_token"}
    assert answer.json["status"] == "registered"
    token = answer.json["auth_token"]
    assert len(token) == 43

    shown = (await api.call("GET", f"/workspaces/{row}", token=token)).json
    assert (shown["status"], shown["status_reason"], shown["agent_card"], shown["url"]) == (
        "online",
        "heartbeat",
        CARD,
        "https://agent.example.com/a2a",
    )
    assert shown["last_heartbeat_at"] is not None
    assert [told["detected_by"] for told in await read_told(database, row)][1:] == ["heartbeat"]
    assert len(api.events("workspace.marked_online", after=here, workspace_id=row)) == 1
    (issued,) = api.events("token.issued", after=here, workspace_id=row)
    assert issued["token_prefix"] == token[:8]


async def test_later_registers_need_the_token_and_get_none(api: Api, database: asyncpg.Connection) -> None:
    row = await add_row(database, "offline")
    token = (await register(api, row)).json["auth_token"]
    assert (await register(api, row, token=token)).json == {"status": "registered"}
    assert (await register(api, row, token=api.admin_token)).json == {"status": "registered"}
    for shown, error in ((None, "missing"), ("wrong", "invalid")):
        answer = await register(api, row, token=shown)
        assert (answer.status, answer.json["error"]) == (401, f"{error} workspace auth token")
    count = "SELECT count(*) FROM workspace_auth_tokens WHERE workspace_id = $1"
    assert await database.fetchval(count, UUID(row)) == 1


async def test_a_revoked_last_token_does_not_open_it_again(api: Api, database: asyncpg.Connection) -> None:
    row = await add_row(database)
    revoked = await add_token(database, row, revoked=True)
    assert (await register(api, row)).json["error"] == "missing workspace auth token"
    assert (await register(api, row, token=revoked)).json["error"] == "invalid workspace auth token"
    assert (await beat(api, row)).status == 401


async def test_of_many_first_registers_one_gets_the_token(api: Api, database: asyncpg.Connection) -> None:
    row = await add_row(database, "offline")
    answers = await asyncio.gather(*(register(api, row) for _ in range(12)))
    assert sorted(answer.status for answer in answers) == [200, *[401] * 11]
    (won,) = (answer for answer in answers if answer.status == 200)
    assert (await beat(api, row, token=won.json["auth_token"])).status == 200


async def test_a_reset_lets_one_register_in(api: Api, database: asyncpg.Connection) -> None:
    row = await add_row(database)
    revoked = await add_token(database, row, revoked=True)

    async def reset(age: str) -> None:
        await database.execute(
            "INSERT INTO healthsweep.token_resets VALUES ($1, now() - $2::text::interval)"
            " ON CONFLICT (workspace_id) DO UPDATE SET at = excluded.at",
            UUID(row),
            age,
        )

    await reset("11 minutes")
    assert (await register(api, row)).status == 401
    await reset("9 minutes")
    assert (await beat(api, row)).status == 401, "for a register, not for a heartbeat"
    assert (await register(api, row, url="ftp://a")).status == 400, "which does not use it up"
    assert (await register(api, row, token="wrong")).status == 401
    answers = await asyncio.gather(*(register(api, row) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 401, 401, 401, 401]
    await reset("0")
    renewed = await register(api, row, token=revoked)
    assert len(renewed.json["auth_token"]) == 43, "an agent that shows its old token means the same"
    assert (await register(api, row, token=revoked)).status == 401
    await reset("0")
    assert (await register(api, row, token=renewed.json["auth_token"])).json == {"status": "registered"}
    assert (await register(api, row)).json.keys() == {"status", "auth_token"}, "it was still open"


async def test_a_register_heals_as_a_heartbeat_does(api: Api, database: asyncpg.Connection) -> None:
    dead = await add_row(database, "offline", told=("online", "exited"))
    troubled = await add_row(database, "degraded", last_error_rate=0.7, active_tasks=2)
    paused = await add_row(database, "paused")
    for row, status in ((dead, "offline"), (troubled, "degraded"), (paused, "paused")):
        assert (await register(api, row)).status == 200
        after = await read_row(database, row)
        assert after["status"] == status
        assert after["last_heartbeat_at"] is not None
    after = await read_row(database, troubled)
    assert (after["last_error_rate"], after["active_tasks"]) == (0.7, 2), "it said nothing about them"


NOT_REACHED: tuple[dict[str, Any], ...] = ({}, {"url": ""}, {"url": None}, {"url": "remote://no-inbound"})
PUSH_WITHOUT = "url is required for push-mode workspaces"
GOOD_URL = {"url": "https://agent.example.com"}


@pytest.mark.parametrize(
    ("runtime", "keys", "error"),
    [
        *[("external", keys, None) for keys in NOT_REACHED],
        *[("kimi", {**keys, "delivery_mode": "poll"}, None) for keys in NOT_REACHED],
        *[("external", {**keys, "delivery_mode": "push"}, PUSH_WITHOUT) for keys in NOT_REACHED],
        ("external", GOOD_URL, None),
        ("external", {**GOOD_URL, "delivery_mode": "push"}, None),
        ("external", {**GOOD_URL, "delivery_mode": "poll"}, None),
        ("external", {**GOOD_URL, "delivery_mode": ""}, None),
        ("langgraph", {}, PUSH_WITHOUT),
        ("langgraph", {"url": ""}, PUSH_WITHOUT),
        ("langgraph", {"delivery_mode": "poll"}, None),
        ("langgraph", {"url": "http://ws-1:8000"}, None),
        (
            "langgraph",
            {"url": "remote://no-inbound"},
            'url scheme must be http or https, got "remote"',
        ),
        (None, {}, PUSH_WITHOUT),
        ("external", {**GOOD_URL, "delivery_mode": "pull"}, 'delivery_mode must be "push" or "poll"'),
        ("external", {"url": "http://127.0.0.1:1"}, "url targets a blocked address: loopback address"),
        ("external", {"url": 5}, "invalid request body"),
        ("external", {"agent_card": None}, "agent_card is required and must be an object"),
        ("external", {"agent_card": []}, "agent_card is required and must be an object"),
        ("external", {"agent_card": "text"}, "agent_card is required and must be an object"),
    ],
    ids=str,
)
async def test_how_an_agent_says_where_it_is(
    api: Api, database: asyncpg.Connection, runtime: str | None, keys: dict[str, Any], error: str | None
) -> None:
    row = await add_row(database, "offline", runtime=runtime, url="https://before.example.com")
    answer = await register(api, row, **keys)
    after = await read_row(database, row)
    if error is None:
        assert answer.status == 200
        assert after["url"] == (keys.get("url") or "https://before.example.com")
    else:
        assert (answer.status, answer.json["error"]) == (400, error)
        assert (after["status"], after["url"]) == ("offline", "https://before.example.com")


async def test_a_url_on_this_host_is_kept(api: Api, database: asyncpg.Connection) -> None:
    row = await add_row(database, "offline", runtime="langgraph", url="http://127.0.0.1:49153")
    assert (await register(api, row, url="http://ws-1:8000")).status == 200
    assert (await read_row(database, row))["url"] == "http://127.0.0.1:49153"


async def test_private_urls_are_for_who_allows_them(start_api: StartApi, database_url: str) -> None:
    async with start_api(ALLOW_PRIVATE_AGENT_URLS="true") as api, connected(database_url) as connection:
        row = await add_row(connection)
        assert (await register(api, row, url="http://10.0.0.5:8000")).status == 200
        assert (await read_row(connection, row))["url"] == "http://10.0.0.5:8000"
