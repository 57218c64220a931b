"""What a heartbeat may say, and what is kept of it."""

from typing import Any

import asyncpg
import pytest

from tests.api.calls import UNKNOWN_ID, beat
from tests.support.api import Api
from tests.support.rows import add_row, read_row


async def test_what_it_tells_is_kept(api: Api, database: asyncpg.Connection) -> None:
    row = await add_row(database)
    told: dict[str, Any] = {
        "error_rate": 0.25,
        "sample_error": "ein Fehler ☃",
        "active_tasks": 2,
        "uptime_seconds": 3600,
        "current_task": "schreibt",
    }
    assert (await beat(api, row, **told, monthly_spend=12, something="else")).json == {"status": "ok"}
    after = await read_row(database, row)
    assert {
        "error_rate": after["last_error_rate"],
        "sample_error": after["last_sample_error"],
        "active_tasks": after["active_tasks"],
        "uptime_seconds": after["uptime_seconds"],
        "current_task": after["current_task"],
    } == told
    assert after["updated_at"] == after["last_heartbeat_at"]

    assert (await beat(api, row)).status == 200
    after = await read_row(database, row)
    assert (after["last_error_rate"], after["last_sample_error"], after["active_tasks"]) == (0, "", 0)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"error_rate": 7}, {"last_error_rate": 1.0}),
        ({"error_rate": -1e300}, {"last_error_rate": 0.0}),
        ({"error_rate": 10**400}, {"last_error_rate": 1.0}),
        ({"active_tasks": -5}, {"active_tasks": 0}),
        ({"active_tasks": 10**30}, {"active_tasks": 2**31 - 1}),
        ({"uptime_seconds": 1e300}, {"uptime_seconds": 2**31 - 1}),
        ({"uptime_seconds": 12.75}, {"uptime_seconds": 12}),
        ({"sample_error": "x" * 10_000}, {"last_sample_error": "x" * 4096}),
        ({"error_rate": None, "sample_error": None, "current_task": None}, {"current_task": ""}),
        ({"monthly_spend": 10**30}, {}),
    ],
)
async def test_numbers_and_texts_are_brought_into_range(
    api: Api, database: asyncpg.Connection, sent: dict[str, Any], kept: dict[str, Any]
) -> None:
    row = await add_row(database)
    assert (await beat(api, row, **sent)).status == 200
    after = await read_row(database, row)
    assert {column: after[column] for column in kept} == kept


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"no json",
        b"[]",
        b'"text"',
        b"{" * 30_000,
        b'{"workspace_id": "ID", "workspace_id": "ID"}',
        b'{"workspace_id": "ID", "error_rate": NaN}',
        b'{"workspace_id": "ID", "error_rate": 1e999}',
        b'{"workspace_id": "ID", "error_rate": "0.5"}',
        b'{"workspace_id": "ID", "error_rate": true}',
        b'{"workspace_id": "ID", "active_tasks": []}',
        b'{"workspace_id": "ID", "uptime_seconds": {}}',
        b'{"workspace_id": "ID", "monthly_spend": "1"}',
        b'{"workspace_id": "ID", "sample_error": 5}',
        b'{"workspace_id": "ID", "current_task": false}',
        b'{"workspace_id": "ID", "runtime_state": 1}',
        b'{"workspace_id": "ID", "sample_error": "a\\u0000b"}',
        b'{"workspace_id": "ID", "sample_error": "\\ud800"}',
        b'{"workspace_id": "ID", "sample_error": "\xff"}',
    ],
    ids=lambda body: ascii(body[:60]),
)
async def test_what_is_no_heartbeat(api: Api, database: asyncpg.Connection, wrong: bytes) -> None:
    row = await add_row(database, "offline")
    answer = await api.call("POST", "/registry/heartbeat", wrong.replace(b"ID", row.encode()))
    assert (answer.status, answer.json["error"], answer.json["code"]) == (
        400,
        "invalid request body",
        "invalid_body",
    )
    assert (await read_row(database, row))["last_heartbeat_at"] is None


@pytest.mark.parametrize("workspace_id", [None, 5, "", "abc", UNKNOWN_ID.replace("-", ""), f"{UNKNOWN_ID}\n"])
async def test_what_is_no_workspace_id(api: Api, workspace_id: object) -> None:
    answer = await api.call("POST", "/registry/heartbeat", {"workspace_id": workspace_id})
    assert (answer.status, answer.json["error"]) == (400, "invalid workspace ID")


async def test_upper_case_ids_are_the_same_ids(api: Api, database: asyncpg.Connection) -> None:
    row = await add_row(database, "offline")
    assert (await beat(api, row.upper())).status == 200
    assert (await read_row(database, row))["status"] == "online"


async def test_a_body_that_is_too_large(api: Api) -> None:
    answer = await beat(api, UNKNOWN_ID, sample_error="x" * 2**20)
    assert (answer.status, answer.json["code"]) == (413, "body_too_large")
