"""Which workspace `healthsweep why` takes an operator's words for, and what its process prints."""

import json
from uuid import UUID

import asyncpg
import pytest

from deploy.command.why.store import find
from tests.deploy.operator import NOBODY, Operator
from tests.support.daemon import FakeDaemon, State
from tests.support.rows import add_row

pytestmark = pytest.mark.usefixtures("processes")

IDS = (
    "c9b59298-7bab-419b-b251-e0e4efd1b272",
    "c9b59299-3a25-434f-9796-8558738b6a0b",
    "1e069956-4bfc-4476-8b2d-1a6148a93835",
    "d7446e2e-f192-4a6a-b9ef-afbbb752e9ea",
)


@pytest.fixture
async def four(rows: asyncpg.Connection) -> None:
    """Workspaces, one of which is removed."""
    names = ("Reviewer", "reviewer-2", "writer", "Reviewer")
    for workspace, name, status in zip(IDS, names, ("online",) * 3 + ("removed",), strict=True):
        await add_row(rows, status, id=UUID(workspace), name=name, runtime="langgraph")


@pytest.fixture
def operator(operator: Operator, four: None, fake_daemon: FakeDaemon) -> Operator:
    operator.environment = {**operator.environment, "DOCKER_HOST": fake_daemon.host}
    return operator


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (IDS[0], 0),
        (IDS[1].upper(), 1),
        (f"ws-{IDS[1]}", 1),
        (f"ws-{IDS[2][:12]}", 2),
        ("c9b59299", 1),
        ("Reviewer", 0),  # a removed one of the same name comes after it
        ("REVIEWER", 0),
        ("reviewer-", 1),
        ("wr", 2),
        ("d744", 3),
    ],
)
async def test_words_that_mean_one(words: str, meant: int, four: None, rows: asyncpg.Connection) -> None:
    assert [str(match.id) for match in await find(rows, words)] == [IDS[meant]]


async def test_words_that_mean_several(operator: Operator) -> None:
    ended = await operator.run("why", "c9b5", "--json")
    assert (ended.status, ended.stdout) == (1, "")
    assert ended.stderr.splitlines() == [
        "healthsweep: 'c9b5' can be 2 workspaces:",
        f"  {IDS[0]}  online  Reviewer",
        f"  {IDS[1]}  online  reviewer-2",
    ]


@pytest.mark.parametrize("words", [NOBODY, "nobody", "%", "_", "' OR true --"])
async def test_words_that_mean_none(words: str, four: None, rows: asyncpg.Connection) -> None:
    assert await find(rows, words) == []


async def test_nobody_is_a_sentence(operator: Operator) -> None:
    sentence = await operator.refused("why", "nobody")
    assert sentence == "there is no workspace whose id or name begins with 'nobody'"


async def test_in_a_pipe_it_is_ten_plain_lines(operator: Operator, fake_daemon: FakeDaemon) -> None:
    fake_daemon.containers[f"ws-{IDS[0]}"] = State("exited", exit_code=137)
    ended = await operator.does("why", "Reviewer")
    words = [line.split("  ")[0] for line in ended.stdout.splitlines()]
    assert words == ["workspace", "status", "now", "so", "heartbeat", "sweeper", "changes by", "handbook"]
    assert "METRICS_PORT is 0" in ended.stdout
    assert all(line == line.rstrip() for line in ended.stdout.splitlines())


async def test_the_keys_of_the_document(operator: Operator) -> None:
    document = json.loads((await operator.does("why", "writer", "--json")).stdout)
    assert list(document) == [
        "id",
        "name",
        "runtime",
        "kind",
        "status",
        "since",
        "observation",
        "before",
        "now",
        "heartbeat",
        "sweeper",
        "remarks",
        "would_change",
        "handbook",
    ]
