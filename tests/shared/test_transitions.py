"""A transition: the row, its history and a notice, all or none. Who wins: test_transition_races."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from shared.database import migrate
from shared.transitions import STATUSES, WRITABLE, Transition
from tests.shared.rows import add, history, seen, status, write
from tests.support.postgres import connected


@pytest.fixture
async def notices(module_database_url: str) -> AsyncIterator[list[dict[str, Any]]]:
    """What a listener hears; complete after `heard`."""
    async with connected(module_database_url) as listener:
        notices: list[dict[str, Any]] = []

        def hear(*notice: object) -> None:
            notices.append(json.loads(str(notice[3])))

        await listener.add_listener("healthsweep", hear)
        yield notices


async def heard(rows: asyncpg.Connection, notices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The notices so far: they come in the order of the commits, so the last is one of our own."""
    await rows.execute("""SELECT pg_notify('healthsweep', '{"last": true}')""")
    while not notices or "last" not in notices[-1]:
        await rows.execute("SELECT pg_sleep(0.01)")
    return notices[:-1]


async def test_the_row_its_history_and_a_notice(
    rows: asyncpg.Connection, notices: list[dict[str, Any]]
) -> None:
    workspace = await add(rows, "online")
    old = "UPDATE public.workspaces SET updated_at = '2020-01-01' WHERE id = $1"
    await rows.execute(old, workspace)
    transition = await seen(rows, workspace, reason="exited", exit_code=137)
    assert await write(rows, "offline", transition, cause_id="5a1f") == {workspace}
    assert await status(rows, workspace) == "offline"
    (row,) = await history(rows, workspace)
    assert row == ("online", "offline", "exited", 137, "sweep", "5a1f")
    assert await heard(rows, notices) == [
        {"workspace_id": str(workspace), "from": "online", "to": "offline", "reason": "exited"}
    ]
    age = "SELECT extract(epoch FROM now() - updated_at) FROM public.workspaces WHERE id = $1"
    assert await rows.fetchval(age, workspace) < 60


@pytest.mark.parametrize("to", WRITABLE)
async def test_to_every_status_that_somebody_writes(to: str, rows: asyncpg.Connection) -> None:
    workspace = await add(rows, "online")
    assert await write(rows, to, await seen(rows, workspace)) == {workspace}
    assert await status(rows, workspace) == to


@pytest.mark.parametrize("to", ["degraded", "failed", "awaiting_agent", "", "x' OR 'x'='x", "Offline"])
async def test_nobody_writes_any_other(to: str, rows: asyncpg.Connection) -> None:
    workspace = await add(rows, "online")
    with pytest.raises(ValueError, match="nobody writes"):
        await write(rows, to, await seen(rows, workspace))
    assert await status(rows, workspace) == "online"


@pytest.mark.parametrize("before", STATUSES)
async def test_from_every_status_there_is(before: str, rows: asyncpg.Connection) -> None:
    workspace = await add(rows, before)
    await write(rows, "removed", await seen(rows, workspace))
    assert [row[0] for row in await history(rows, workspace)] == [before]


async def test_the_newest_history_row_is_the_last(rows: asyncpg.Connection) -> None:
    workspace = await add(rows, "online")
    for to in ("offline", "online", "paused"):
        await write(rows, to, await seen(rows, workspace))
    assert [row[:2] for row in await history(rows, workspace)] == [
        ("online", "offline"),
        ("offline", "online"),
        ("online", "paused"),
    ]


async def test_nothing_wanted_is_nothing_done(rows: asyncpg.Connection, notices: list[Any]) -> None:
    assert await write(rows, "offline") == set()
    assert await heard(rows, notices) == []


async def test_no_notice_and_no_history_for_a_row_that_did_not_change(
    rows: asyncpg.Connection, notices: list[dict[str, Any]]
) -> None:
    changed, other, gone = await add(rows, "online"), await add(rows, "online"), uuid4()
    transitions = [await seen(rows, changed), await seen(rows, other)]
    await rows.execute("UPDATE public.workspaces SET status = 'paused' WHERE id = $1", other)
    missing = Transition(gone, "online", "1", "missing")
    assert await write(rows, "offline", *transitions, missing) == {changed}
    assert await status(rows, other) == "paused"
    assert [len(await history(rows, workspace)) for workspace in (changed, other, gone)] == [1, 0, 0]
    assert [notice["workspace_id"] for notice in await heard(rows, notices)] == [str(changed)]


async def test_all_of_it_is_undone_with_the_transaction_around_it(
    rows: asyncpg.Connection, notices: list[dict[str, Any]]
) -> None:
    workspace = await add(rows, "online")
    around = rows.transaction()
    await around.start()
    assert await write(rows, "offline", await seen(rows, workspace)) == {workspace}
    await around.rollback()
    assert await status(rows, workspace) == "online"
    assert await history(rows, workspace) == []
    assert await heard(rows, notices) == []


async def test_without_history_there_is_no_transition(
    rows: asyncpg.Connection, notices: list[dict[str, Any]]
) -> None:
    workspace = await add(rows, "online")
    await rows.execute("ALTER TABLE healthsweep.history ADD CHECK (reason <> 'unheard of')")
    with pytest.raises(asyncpg.CheckViolationError):
        await write(rows, "offline", await seen(rows, workspace, reason="unheard of"))
    assert await status(rows, workspace) == "online"
    assert await heard(rows, notices) == []


async def test_on_a_platform_database_with_either_kind_of_status(platform_database_url: str) -> None:
    async with connected(platform_database_url) as connection:
        await migrate(connection)
        workspaces = [await add(connection, before) for before in STATUSES]
        for to in WRITABLE:
            transitions = [await seen(connection, workspace) for workspace in workspaces]
            assert await write(connection, to, *transitions) == set(workspaces)
            assert {await status(connection, workspace) for workspace in workspaces} == {to}


async def test_a_thousand_at_once_are_one_statement(
    rows: asyncpg.Connection, notices: list[dict[str, Any]]
) -> None:
    read = await rows.fetch(
        """
        INSERT INTO public.workspaces (name, status) SELECT 'w', 'online' FROM generate_series(1, 1000)
        RETURNING id, xmin::text AS version
        """
    )
    transitions = [Transition(row["id"], "online", row["version"], "missing") for row in read]
    before = await rows.fetchval("SELECT txid_current()")
    began = time.monotonic()
    changed = await write(rows, "offline", *reversed(transitions))
    assert time.monotonic() - began < 5
    assert await rows.fetchval("SELECT txid_current()") == before + 2
    assert changed == {row["id"] for row in read}
    written = "SELECT count(DISTINCT workspace_id) FROM healthsweep.history WHERE workspace_id = ANY ($1)"
    assert await rows.fetchval(written, changed) == 1000
    assert {UUID(notice["workspace_id"]) for notice in await heard(rows, notices)} == changed
