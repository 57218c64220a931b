"""A workspace is removed, and everything below it; rows stay."""

import asyncio
from uuid import UUID

import asyncpg
import pytest

from tests.api.calls import UNKNOWN_ID, beat, create
from tests.support.api import Answer, Api
from tests.support.rows import add_row, add_token, read_row, read_told


async def remove(api: Api, workspace_id: str, query: str = "") -> Answer:
    return await api.call("DELETE", f"/workspaces/{workspace_id}{query}", token=api.admin_token)


async def test_removal_with_children_must_be_confirmed(api: Api, database: asyncpg.Connection) -> None:
    root = await add_row(database)
    child = await add_row(database, "paused", parent_id=UUID(root), name="child")
    other = await add_row(database, "offline", parent_id=UUID(root), name="another")
    gone = await add_row(database, "removed", parent_id=UUID(root))
    below = await add_row(database, "failed", parent_id=UUID(child))
    token = await add_token(database, below)

    for query in ("", "?confirm=false", "?confirm=0"):
        answer = await remove(api, root, query)
        assert answer.status == 409
        assert answer.json["status"] == answer.json["code"] == "confirmation_required"
        assert "confirm=true" in answer.json["message"]
        assert answer.json["children"] == [{"id": other, "name": "another"}, {"id": child, "name": "child"}]
        assert answer.json["children_count"] == 2
        assert (await read_row(database, root))["status"] == "online"

    answer = await remove(api, root, "?confirm=true")
    assert (answer.status, answer.json) == (200, {"status": "removed", "cascade_deleted": 3})
    for row in (root, child, other, below):
        assert (await read_row(database, row))["status"] == "removed"
        (told,) = await read_told(database, row)
        assert (told["to_status"], told["reason"], told["cause_id"]) == (
            "removed",
            "removed",
            answer.headers["X-Request-Id"],
        )
    assert not await read_told(database, gone)
    assert (await api.call("GET", f"/workspaces/{below}", token=token)).status == 401
    for query in ("", "?confirm=true"):
        again = await remove(api, root, query)
        assert (again.status, again.json["code"]) == (404, "workspace_not_found")


async def test_a_workspace_without_children_is_removed_at_once(
    api: Api, database: asyncpg.Connection
) -> None:
    row = await add_row(database)
    here = api.position
    assert (await remove(api, row)).json == {"status": "removed", "cascade_deleted": 0}
    assert (await api.event("workspace.removed", after=here, workspace_id=row))["cascade_deleted"] == 0


@pytest.mark.parametrize(
    ("workspace_id", "query", "status", "error"),
    [
        ("no-uuid", "", 400, "invalid workspace ID"),
        (UNKNOWN_ID, "", 404, "workspace not found"),
        (UNKNOWN_ID, "?confirm=maybe", 400, "confirm must be true or false"),
    ],
)
async def test_what_cannot_be_removed(
    api: Api, workspace_id: str, query: str, status: int, error: str
) -> None:
    answer = await remove(api, workspace_id, query)
    assert (answer.status, answer.json["error"]) == (status, error)


async def test_a_workspace_is_removed_amid_its_heartbeats(api: Api, database: asyncpg.Connection) -> None:
    """And stays removed, with everything that was made below it meanwhile."""
    root = await add_row(database)
    rows = [root, *[await add_row(database, parent_id=UUID(root)) for _ in range(10)]]
    removed = asyncio.Event()
    made: list[str] = []

    async def agent(row: str) -> None:
        while (await beat(api, row)).status == 200:
            pass

    async def maker() -> None:
        while (answer := await create(api, parent_id=root)).status == 201:
            made.append(answer.json["id"])
        removed.set()

    agents = [asyncio.create_task(agent(row)) for row in rows]
    making = asyncio.create_task(maker())
    while len(made) < 10:
        await asyncio.sleep(0.01)
    answer = await remove(api, root, "?confirm=true")
    assert answer.status == 200
    await asyncio.wait_for(asyncio.gather(*agents, making), 10)
    assert answer.json["cascade_deleted"] == 10 + len(made)
    for row in (*rows, *made):
        assert (await read_row(database, row))["status"] == "removed"


async def test_a_child_that_is_being_made_goes_too(api: Api, database: asyncpg.Connection) -> None:
    root = await add_row(database)
    async with database.transaction():
        child = await add_row(database, parent_id=UUID(root))
        removal = asyncio.create_task(remove(api, root, "?confirm=true"))
        await asyncio.sleep(0.2)
    assert (await removal).json == {"status": "removed", "cascade_deleted": 1}
    assert (await read_row(database, child))["status"] == "removed"
