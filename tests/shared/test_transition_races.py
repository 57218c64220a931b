"""Whoever writes a row between our look and our write wins, at whatever moment that is: forced, not hoped."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.shared.rows import add, history, seen, status, write
from tests.support.postgres import connected

SET = "UPDATE public.workspaces SET"
OTHERS = [
    pytest.param(f"{SET} status = 'paused' WHERE id = $1", "paused", id="pause"),
    pytest.param(f"{SET} status = 'removed' WHERE id = $1", "removed", id="removal"),
    pytest.param(f"{SET} status = 'online' WHERE id = $1", "online", id="the same status"),
    pytest.param(f"{SET} last_heartbeat_at = now() WHERE id = $1", "online", id="heartbeat"),
    pytest.param(f"{SET} name = name WHERE id = $1", "online", id="no change at all"),
    pytest.param("DELETE FROM public.workspaces WHERE id = $1", "None", id="deletion"),
]


@pytest.fixture
async def other(module_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Another program's connection."""
    async with connected(module_database_url) as connection:
        yield connection


@pytest.mark.parametrize(("statement", "left"), OTHERS)
async def test_a_write_that_is_committed_wins(
    statement: str, left: str, rows: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    workspace = await add(rows, "online")
    transition = await seen(rows, workspace)
    await other.execute(statement, workspace)
    assert await write(rows, "offline", transition) == set()
    assert await status(rows, workspace) == left
    assert await history(rows, workspace) == []


@pytest.mark.parametrize("commits", [True, False], ids=["committed later", "rolled back later"])
@pytest.mark.parametrize(("statement", "left"), OTHERS)
async def test_a_write_that_is_under_way_wins_and_is_not_waited_for(
    statement: str, left: str, commits: bool, rows: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    workspace = await add(rows, "online")
    transition = await seen(rows, workspace)
    transaction = other.transaction()
    await transaction.start()
    await other.execute(statement, workspace)
    async with asyncio.timeout(2):
        assert await write(rows, "offline", transition) == set()
    await (transaction.commit() if commits else transaction.rollback())
    assert await status(rows, workspace) == (left if commits else "online")
    assert await history(rows, workspace) == []


async def test_there_and_back_again_is_a_write_too(
    rows: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    workspace = await add(rows, "online")
    transition = await seen(rows, workspace)
    for to in ("offline", "online"):
        await write(other, to, await seen(other, workspace))
    assert await write(rows, "offline", transition) == set()
    assert await status(rows, workspace) == "online"


async def test_a_second_writer_with_the_same_look_writes_nothing(
    rows: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    workspace = await add(rows, "online")
    transition = await seen(rows, workspace)
    both = await asyncio.gather(write(rows, "offline", transition), write(other, "offline", transition))
    assert sorted(map(len, both)) == [0, 1]
    assert len(await history(rows, workspace)) == 1


@pytest.mark.parametrize("lock", ["UPDATE", "NO KEY UPDATE", "SHARE"])
async def test_a_row_that_is_only_held_is_left_alone_and_the_others_are_written(
    lock: str, rows: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    held, free = await add(rows, "online"), await add(rows, "online")
    transitions = [await seen(rows, held), await seen(rows, free)]
    async with other.transaction():
        await other.execute(f"SELECT FROM public.workspaces WHERE id = $1 FOR {lock}", held)
        async with asyncio.timeout(2):
            assert await write(rows, "offline", *transitions) == {free}
    assert [await status(rows, held), await status(rows, free)] == ["online", "offline"]
    assert await write(rows, "offline", await seen(rows, held)) == {held}  # at the next look


# The narrowest gap: our statement has its snapshot, in which nothing is written yet, and has not locked yet.

ROLE = "ws-racer"
GATE = f"""
CREATE FUNCTION public.gate() RETURNS boolean LANGUAGE sql VOLATILE AS
    'SELECT pg_advisory_xact_lock_shared(1) IS NOT NULL';
CREATE POLICY gate ON public.workspaces USING (public.gate());
ALTER TABLE public.workspaces ENABLE ROW LEVEL SECURITY;
GRANT ALL ON ALL TABLES IN SCHEMA public, healthsweep TO "{ROLE}";
GRANT USAGE ON SCHEMA healthsweep TO "{ROLE}";
"""


@pytest.fixture(scope="module")
async def gated_url(module_database_url: str) -> str:
    """For statements that stop at each row that they scan, while somebody holds the advisory lock 1."""
    async with connected(module_database_url) as owner:
        await owner.execute(f'CREATE ROLE "{ROLE}" LOGIN')
        await owner.execute(GATE)
    return module_database_url.replace("//postgres@", f"//{ROLE}@")


@pytest.mark.parametrize(("statement", "left"), OTHERS)
async def test_a_write_between_our_snapshot_and_our_lock_wins(
    statement: str, left: str, rows: asyncpg.Connection, other: asyncpg.Connection, gated_url: str
) -> None:
    workspace = await add(rows, "online")
    transition = await seen(rows, workspace)
    async with connected(gated_url) as ours:
        await rows.execute("SELECT pg_advisory_lock(1)")
        writing = asyncio.create_task(write(ours, "offline", transition))
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while not await rows.fetchval(waiting):
            await asyncio.sleep(0.01)
        await other.execute(statement, workspace)
        await rows.execute("SELECT pg_advisory_unlock(1)")
        assert await asyncio.wait_for(writing, 5) == set()
    assert await status(rows, workspace) == left
    assert await history(rows, workspace) == []


async def test_the_gate_alone_stops_nothing(rows: asyncpg.Connection, gated_url: str) -> None:
    workspace = await add(rows, "online")
    transition = await seen(rows, workspace)
    async with connected(gated_url) as ours:
        assert await write(ours, "offline", transition) == {workspace}


# As the api writes a batch of heartbeats: locked in id order, then written
HOLD = "SELECT FROM public.workspaces WHERE id = ANY ($1) ORDER BY id FOR UPDATE"
BEAT = f"{SET} last_heartbeat_at = now() WHERE id = ANY ($1)"


async def test_a_batch_that_holds_the_lower_ids_gets_the_higher_ones(
    rows: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    lower, higher = sorted([await add(rows, "online") for _ in range(2)])
    transitions = [await seen(rows, higher), await seen(rows, lower)]
    async with asyncio.timeout(4), other.transaction():
        await other.execute(HOLD, [lower])
        writing = asyncio.create_task(write(rows, "offline", *transitions))
        await asyncio.wait([writing], timeout=0.5)
        await other.execute(HOLD, [lower, higher])
    assert await writing == {higher}


async def test_a_batch_of_heartbeats_beside_it_does_not_deadlock(
    rows: asyncpg.Connection, other: asyncpg.Connection
) -> None:
    workspaces = [await add(rows, "online") for _ in range(50)]
    written = 0

    async def beat() -> None:
        for _ in range(40):
            async with other.transaction():
                for statement in (HOLD, BEAT):
                    await other.execute(statement, workspaces)

    beating = asyncio.create_task(beat())
    to = "offline"
    while not beating.done():
        transitions = [await seen(rows, workspace) for workspace in workspaces]
        written += len(await write(rows, to, *reversed(transitions)))
        to = "online" if to == "offline" else "offline"
    await beating
    transitions_of = "SELECT count(*) FROM healthsweep.history WHERE workspace_id = ANY ($1)"
    assert await rows.fetchval(transitions_of, workspaces) == written
