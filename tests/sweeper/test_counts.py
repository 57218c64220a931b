"""What a sweep of a thousand costs: questions counted on the wire, statements by PostgreSQL itself."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from sweeper import look
from tests.support.daemon import State
from tests.support.postgres import PostgresServer
from tests.sweeper.scene import Scene, staged

FLEET = 1000
DEAD = State("exited", exit_code=1)

_STATEMENT = re.compile(
    r"^healthsweep-sweeper LOG:  (?:execute \S+|statement): (.*(?:\n\t.*)*)", re.MULTILINE
)
_RESET = "SELECT pg_advisory_unlock_all()"  # asyncpg's, of a session that goes back to the pool


class Statements:
    """The statements of the sweeper, as the server logs them."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0

    def new(self) -> list[str]:
        """Those since the last time, one word each: which table of the fleet's was read or written."""
        text = self._log.read_text()
        found = _STATEMENT.findall(text[self._read :])
        self._read = len(text)
        return [_kind(statement) for statement in found if not statement.strip().startswith(_RESET)]


def _kind(statement: str) -> str:
    writes = re.findall(r"\b(INSERT INTO|UPDATE|DELETE FROM)\s+([a-z_.]+)", statement)
    return " + ".join(f"{verb} {table}" for verb, table in writes) or "SELECT"


MARK = "UPDATE public.workspaces + INSERT INTO healthsweep.history"
"""The row and its history, in one statement."""


@pytest.fixture
async def logging_postgres(processes: None, short_directory: Path) -> AsyncIterator[PostgresServer]:
    settings = ("log_statement=all", "log_line_prefix=%a ")
    async with PostgresServer(short_directory / "postgres", settings=settings) as server:
        yield server


@pytest.fixture(autouse=True)
def _busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that are late because this machine is busy are waited for: they come in one portion."""
    monkeypatch.setattr(look, "PATIENCE_S", 30)


async def test_a_sweep_of_a_thousand(logging_postgres: PostgresServer, short_directory: Path) -> None:
    url = await logging_postgres.create_migrated_database()
    statements = Statements(short_directory / "postgres" / "log")
    async with staged(url, short_directory) as scene:
        workspaces = await _thousand(scene)
        await _first_statements(scene, workspaces[0])
        await _all_alive(scene, statements)
        await _ten_exited(scene, statements, workspaces[:10])
        await _ten_back(scene, statements, workspaces[:10])
        await _ten_missing(scene, statements, workspaces[10:20])
        await _settled(scene, statements)


async def _first_statements(scene: Scene, workspace: UUID) -> None:
    """Connect, and let asyncpg ask for the types of our parameters, which it does once for a connection."""
    for container in (DEAD, State()):
        scene.put(workspace, container)
        await scene.sweep()
    assert await scene.status(workspace) == "online"


async def _all_alive(scene: Scene, statements: Statements) -> None:
    _reset(scene, statements)
    report = await scene.sweep()
    assert (report.checked, report.running) == (FLEET, FLEET)
    assert (scene.daemon.lists, scene.daemon.inspects, len(scene.daemon.requests)) == (1, [], 1)
    assert statements.new() == ["SELECT"]


async def _ten_exited(scene: Scene, statements: Statements, ten: list[UUID]) -> None:
    for workspace in ten:
        scene.put(workspace, DEAD)
    _reset(scene, statements)
    report = await scene.sweep()
    assert (report.marked_offline, report.inspects) == (10, 10)
    assert (scene.daemon.lists, len(set(scene.daemon.inspects)), len(scene.daemon.requests)) == (1, 10, 11)
    assert statements.new() == ["SELECT", "SELECT", MARK]  # the second reads those ten rows again


async def _ten_back(scene: Scene, statements: Statements, ten: list[UUID]) -> None:
    for workspace in ten:
        scene.put(workspace, State())
    _reset(scene, statements)
    report = await scene.sweep()
    assert (report.marked_online, report.inspects) == (10, 20)
    assert (scene.daemon.lists, len(scene.daemon.requests)) == (1, 21)
    assert statements.new() == ["SELECT", "SELECT", "SELECT", MARK]


async def _ten_missing(scene: Scene, statements: Statements, ten: list[UUID]) -> None:
    for workspace in ten:
        scene.put(workspace, None)
    _reset(scene, statements)
    report = await scene.sweep()
    assert (report.marked_offline, report.inspects) == (10, 20)
    assert (len(set(scene.daemon.inspects)), len(scene.daemon.requests)) == (20, 21)  # both names
    assert statements.new() == ["SELECT", "SELECT", MARK]


async def _settled(scene: Scene, statements: Statements) -> None:
    """Who is offline and down agrees with what is seen, and costs nothing any more."""
    _reset(scene, statements)
    await scene.sweep()
    assert (scene.daemon.lists, len(scene.daemon.requests)) == (1, 1)
    assert statements.new() == ["SELECT"]


async def _thousand(scene: Scene) -> list[UUID]:
    rows = await scene.connection.fetch(
        "INSERT INTO public.workspaces (name, status)"
        f" SELECT 'w' || n, 'online' FROM generate_series(1, {FLEET}) AS n RETURNING id"
    )
    workspaces = [UUID(str(row["id"])) for row in rows]
    for workspace in workspaces:
        scene.put(workspace, State())
    return workspaces


def _reset(scene: Scene, statements: Statements) -> None:
    scene.daemon.reset()
    statements.new()


async def test_two_targets_are_two_writes(logging_postgres: PostgresServer, short_directory: Path) -> None:
    url = await logging_postgres.create_migrated_database()
    statements = Statements(short_directory / "postgres" / "log")
    async with staged(url, short_directory) as scene:
        for _ in range(20):
            await scene.add(container=DEAD)
            await scene.add("offline", reason="exited", container=State())
        scene.restart(SWEEP_WRITE="off")
        await scene.sweep()
        assert set(statements.new()) == {"SELECT"}  # who only observes writes nothing
        scene.restart()
        await scene.sweep()
        assert statements.new().count(MARK) == 2
