"""Heartbeats in numbers, and on bad days: nobody harms the others, and what was acknowledged is written."""

import asyncio
import errno
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import aiohttp
import asyncpg
import pytest

from api.heartbeats import DEADLINE_S, HELD_FOR_S, HeartbeatWriter
from api.store.heartbeats import Beat
from api.store.verdicts import Asked
from shared.database import Database, migrate
from shared.engine import Engine
from shared.ids import container_name
from shared.settings import Settings
from sweeper.store import SweepStore
from sweeper.sweep import Sweeper
from tests.api.calls import beat
from tests.api.conftest import StartApi
from tests.support.api import Answer, Api
from tests.support.daemon import FakeDaemon, State
from tests.support.postgres import PostgresServer, connected
from tests.support.rows import add_row, add_token, read_row, read_told

QUICK_S = 2.0


@asynccontextmanager
async def held(connection: asyncpg.Connection, *rows: str) -> AsyncIterator[None]:
    """Hold these rows, as an operator does who forgets to commit."""
    async with connection.transaction():
        await connection.execute(
            "SELECT FROM public.workspaces WHERE id = ANY ($1::uuid[]) FOR UPDATE",
            [UUID(row) for row in rows],
        )
        yield


async def test_the_last_of_several_beats_counts(api: Api, database: asyncpg.Connection) -> None:
    """All of them are in one batch, because the row was held meanwhile; one transition comes of it."""
    row = await add_row(database, "offline")
    beats = []
    async with held(database, row):
        for number in range(1, 11):
            rate = 0.9 if number == 9 else 0.0
            beats.append(asyncio.create_task(beat(api, row, active_tasks=number, error_rate=rate)))
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
    assert {(await answer).status for answer in beats} == {200}
    after = await read_row(database, row)
    assert (after["status"], after["active_tasks"]) == ("online", 10)
    assert [told["to_status"] for told in await read_told(database, row)] == ["online"]


async def test_each_beat_of_a_batch_has_its_own_verdict(api: Api, database: asyncpg.Connection) -> None:
    """Also where somebody else beats, with a wrong token, for the same workspace and in the same batch."""
    row, gone = await add_row(database), await add_row(database, "removed")
    token, of_gone = await add_token(database, row), await add_token(database, gone)
    sent: list[tuple[str, str | None, int]] = [
        (row, token, 200),
        (row, "wrong", 401),
        (gone, of_gone, 404),
        (row, of_gone, 401),
        (row, None, 401),
        (str(UUID(int=0)), token, 404),
    ]
    async with held(database, row):
        answers = [
            asyncio.create_task(beat(api, workspace_id, token=shown, active_tasks=expected))
            for workspace_id, shown, expected in sent * 3
        ]
        await asyncio.sleep(0.1)
    assert [(await answer).status for answer in answers] == [expected for _, _, expected in sent * 3]
    assert (await read_row(database, row))["active_tasks"] == 200


async def test_a_held_row_holds_up_nobody_else(api: Api, database: asyncpg.Connection) -> None:
    row, *others = [await add_row(database, "offline") for _ in range(20)]
    async with held(database, row):
        started = time.monotonic()
        waits = asyncio.create_task(beat(api, row))
        answers = await asyncio.gather(*(beat(api, other) for other in others))
        assert time.monotonic() - started < QUICK_S
        assert {answer.status for answer in answers} == {200}
        answer = await waits
        assert time.monotonic() - started < HELD_FOR_S + QUICK_S
    assert (answer.status, answer.json["code"]) == (503, "platform_unavailable")
    assert (await beat(api, row)).status == 200


async def test_one_poisoned_beat_does_not_harm_the_others(start_api: StartApi, database_url: str) -> None:
    async with start_api() as api, connected(database_url) as connection:
        await connection.execute("ALTER TABLE workspaces ADD CHECK (current_task <> 'poison')")
        rows = [await add_row(connection, "offline") for _ in range(50)]
        poisoned = set(random.Random(1).sample(rows, 5))
        async with held(connection, *rows):
            answers = [
                asyncio.create_task(beat(api, row, current_task="poison" if row in poisoned else "work"))
                for row in rows
            ]
            await asyncio.sleep(0.3)
        await asyncio.gather(*answers)
        for row, answer in zip(rows, answers, strict=True):
            expected = (400, "offline", None) if row in poisoned else (200, "online", "work")
            after = await read_row(connection, row)
            assert ((await answer).status, after["status"], after["current_task"]) == expected
        refused = await beat(api, next(iter(poisoned)), current_task="poison")
        assert refused.json["detail"] == "the database does not take these values"


async def test_what_was_acknowledged_is_written(start_api: StartApi, database_url: str) -> None:
    """The api is killed amid beats: for each workspace the row says at least what was acknowledged last."""
    async with connected(database_url) as connection:
        async with start_api() as api:
            rows = [await add_row(connection, "offline") for _ in range(32)]
            acknowledged = dict.fromkeys(rows, 0)

            async def agent(row: str) -> None:
                while True:
                    number = acknowledged[row] + 1
                    assert (await beat(api, row, active_tasks=number)).status == 200
                    acknowledged[row] = number

            agents = [asyncio.create_task(agent(row)) for row in rows]
            while sum(acknowledged.values()) < 1500:
                await asyncio.sleep(0.005)
            api.send_signal(signal.SIGKILL)
            ends = await asyncio.gather(*agents, return_exceptions=True)
        assert all(isinstance(end, aiohttp.ClientError) for end in ends)
        for row, number in acknowledged.items():
            after = await read_row(connection, row)
            assert after["active_tasks"] in (number, number + 1)
            assert [told["to_status"] for told in await read_told(connection, row)] == ["online"]


async def test_beats_in_flight_are_answered_before_the_api_leaves(
    start_api: StartApi, database_url: str
) -> None:
    async with start_api() as api, connected(database_url) as connection:
        row = await add_row(connection, "offline")
        async with held(connection, row):
            waits = asyncio.create_task(beat(api, row))
            await asyncio.sleep(0.2)
            api.send_signal(signal.SIGTERM)
            await api.event("process.stopping")
        assert (await waits).status == 200
        assert (await read_row(connection, row))["status"] == "online"


@pytest.mark.parametrize("how", ["stopped", "hung", "read-only"])
async def test_without_its_database_it_says_so_to_everyone_who_waits(
    private_postgres: PostgresServer, start_api: StartApi, how: str
) -> None:
    url = await private_postgres.create_database()
    async with connected(url) as connection:
        await migrate(connection)
        rows = [await add_row(connection, "offline") for _ in range(20)]
    async with start_api(DATABASE_URL=url) as api:
        assert (await beat(api, rows[0])).status == 200
        if how == "stopped":
            await private_postgres.stop()
        elif how == "hung":
            private_postgres.pause()
        else:
            await private_postgres.set_read_only(True)
        started = time.monotonic()
        answers = await asyncio.gather(*(beat(api, row) for row in rows))
        assert {(answer.status, answer.json["code"]) for answer in answers} == {(503, "platform_unavailable")}
        assert {answer.json["error"] for answer in answers} == {
            "platform datastore unavailable — retry shortly"
        }
        assert time.monotonic() - started < DEADLINE_S + QUICK_S
        if how == "stopped":
            await private_postgres.start()
        elif how == "hung":
            private_postgres.resume()
        else:
            await private_postgres.set_read_only(False)
        await api.until("/ready")
        assert {(await beat(api, row)).status for row in rows} == {200}
        assert not api.events("request.failed")


async def test_what_goes_wrong_after_a_batch_does_not_end_the_writer(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log's disk is full: that batch is refused, and the next one is written."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with (
        connected(database_url) as connection,
        Database(database_url, application="healthsweep-api") as database,
        HeartbeatWriter(database, unswept_runtimes=()) as writer,
    ):
        row = UUID(await add_row(connection, "offline"))
        beat = Beat(Asked(workspace_id=row, digest=None, is_admin=True), None, "r")
        with monkeypatch.context() as patched:
            patched.setattr("api.heartbeats.say_marked", full)
            with pytest.raises(OSError, match="No space"):
                await writer.write(beat)
        async with asyncio.timeout(5):
            assert (await writer.write(beat)).written


async def test_heartbeats_and_sweeps_do_not_lock_each_other_up(
    start_api: StartApi, database_url: str, fake_daemon: FakeDaemon, postgres: PostgresServer
) -> None:
    """Containers die and come back under the sweeper while agents beat; no deadlock, nothing fails.

    A row that a beat changes between the sweep's look and its write is skipped: others are silent.
    """
    settings = Settings.load({"SWEEP_INTERVAL": "5", "OFFLINE_GRACE": "0", "ONLINE_GRACE": "0"})
    async with (
        start_api() as api,
        connected(database_url) as connection,
        Engine(fake_daemon.host, timeout=3) as engine,
        Database(database_url, application="healthsweep-sweeper") as database,
    ):
        rows = [await add_row(connection, "online", runtime="langgraph") for _ in range(60)]
        names = [container_name(UUID(row)) for row in rows]
        sweeper = Sweeper(engine=engine, store=SweepStore(database, unswept_runtimes=()), settings=settings)
        ends_at = time.monotonic() + 4
        answers: list[Answer] = []

        async def agent(row: str) -> None:
            while time.monotonic() < ends_at:
                rate = random.choice((0.0, 0.9))
                answers.append(await beat(api, row, error_rate=rate))

        async def sweep() -> None:
            alive = True
            while time.monotonic() < ends_at:
                alive = not alive
                states = {name: State("running" if alive else "exited") for name in names[:-1]}
                fake_daemon.containers = {**states, names[-1]: State("running")}
                await sweeper.sweep()
                while sweeper.next_due() is not None:
                    await sweeper.settle()

        await asyncio.gather(sweep(), *map(agent, rows[:40]))
        assert {answer.status for answer in answers} == {200}
        history = await connection.fetch(
            "SELECT detected_by, to_status, count(*) AS number FROM healthsweep.history GROUP BY 1, 2"
        )
        assert {(row["detected_by"], row["to_status"]) for row in history} >= {
            ("sweep", "offline"),
            ("heartbeat", "degraded"),
        }
        deadlocks = await connection.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        assert deadlocks == 0
