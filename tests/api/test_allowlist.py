"""Which plugins an org allows: read, replaced, and kept to by whoever installs or pulls."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.api.ground import put_plugin
from tests.support.api import Answer, Api
from tests.support.rows import add_row, add_token

BY = "someone@example.org"


class Orgs:
    """Rows with parents, and what their allowlists are."""

    def __init__(self, api: Api, database: asyncpg.Connection) -> None:
        self.api = api
        self.database = database

    async def row(self, parent: str | None = None, *, status: str = "online") -> str:
        under: dict[str, Any] = {"parent_id": UUID(parent)} if parent else {}
        return await add_row(self.database, status, runtime="external", **under)

    async def get(self, org: str) -> Answer:
        return await self.api.call("GET", f"/orgs/{org}/plugins/allowlist", token=self.api.admin_token)

    async def put(self, org: str, plugins: object, **body: object) -> Answer:
        return await self.api.call(
            "PUT",
            f"/orgs/{org}/plugins/allowlist",
            {"plugins": plugins, "enabled_by": BY, **body},
            token=self.api.admin_token,
        )

    async def names(self, org: str) -> list[str]:
        answer = await self.get(org)
        assert answer.status == 200
        return [entry["plugin_name"] for entry in answer.json["plugins"]]

    async def pull(self, workspace: str, name: str) -> Answer:
        token = await add_token(self.database, workspace)
        return await self.api.call("GET", f"/workspaces/{workspace}/plugins/{name}/download", token=token)


@pytest.fixture
def orgs(api: Api, database: asyncpg.Connection) -> Orgs:
    for name in ("allowed", "other"):
        put_plugin(api.home / "plugins", name, {"a": b"1"})
    return Orgs(api, database)


async def test_it_is_read_and_replaced(orgs: Orgs) -> None:
    org = await orgs.row()
    assert (await orgs.get(org)).json == {"org_id": org, "plugins": [], "allow_all": True}
    answer = await orgs.put(org, ["b", "a", "b", "C"])
    assert (answer.status, answer.json) == (
        200,
        {"org_id": org, "plugins": ["C", "a", "b"], "allow_all": False},
    )
    answer = await orgs.get(org)
    assert answer.json["allow_all"] is False
    assert [entry.keys() for entry in answer.json["plugins"]] == 3 * [
        {"plugin_name", "enabled_by", "enabled_at"}
    ]
    assert {entry["enabled_by"] for entry in answer.json["plugins"]} == {BY}
    assert answer.json["plugins"][0]["enabled_at"].endswith("Z")
    assert sorted(await orgs.names(org)) == ["C", "a", "b"]
    assert (await orgs.put(org, ["d"], more="ignored")).json["plugins"] == ["d"]
    assert await orgs.names(org) == ["d"]
    nothings: tuple[list[str] | None, ...] = ([], None)
    for nothing in nothings:
        await orgs.put(org, ["e"])
        answer = await orgs.put(org, nothing)
        assert answer.json == {"org_id": org, "plugins": [], "allow_all": True}
        assert await orgs.names(org) == []


async def test_its_names_are_sorted_as_they_are_answered(orgs: Orgs) -> None:
    org = await orgs.row()
    names = ["a", "B", "a-b", "a.b", "a_b", "aB", "Ab", "10", "9"]
    answered = (await orgs.put(org, names)).json["plugins"]
    assert answered == sorted(names)
    assert await orgs.names(org) == answered


@pytest.mark.parametrize("enabled_by", [None, "", "  ", 1, ["x"]])
async def test_somebody_has_to_stand_for_it(orgs: Orgs, enabled_by: object) -> None:
    org = await orgs.row()
    answer = await orgs.put(org, ["a"], enabled_by=enabled_by)
    assert (answer.status, answer.json["error"]) == (400, "enabled_by is required")
    assert await orgs.names(org) == []


@pytest.mark.parametrize("name", ["../a", "", "a b", ".a", "a..b", "x" * 200, "ä"])
async def test_a_name_that_is_none_changes_nothing(orgs: Orgs, name: str) -> None:
    org = await orgs.row()
    await orgs.put(org, ["before"])
    answer = await orgs.put(org, ["a", name])
    assert (answer.status, answer.json["error"]) == (400, "invalid plugin name")
    assert answer.json["plugin_name"] == name[:128]
    assert answer.json["detail"].startswith("a name is 1 to 128")
    assert await orgs.names(org) == ["before"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"plugins": "a", "enabled_by": "x"}',
        b'{"plugins": [1], "enabled_by": "x"}',
        b'{"plugins": {"a": 1}, "enabled_by": "x"}',
        b'{"plugins": ["a"], "plugins": [], "enabled_by": "x"}',
        b'{"plugins": ["a\\u0000"], "enabled_by": "x"}',
        b"[" * 30_000,
    ],
)
async def test_a_body_that_is_none(orgs: Orgs, body: bytes) -> None:
    org = await orgs.row()
    answer = await orgs.api.call("PUT", f"/orgs/{org}/plugins/allowlist", body, token=orgs.api.admin_token)
    assert (answer.status, answer.json["code"]) == (400, "invalid_body")


async def test_a_body_over_a_megabyte(orgs: Orgs) -> None:
    answer = await orgs.put(await orgs.row(), ["a"], padding="x" * 2**20)
    assert (answer.status, answer.json["code"]) == (413, "body_too_large")


async def test_what_is_no_org(orgs: Orgs) -> None:
    root = await orgs.row()
    for no_org in (str(uuid4()), await orgs.row(root), await orgs.row(status="removed")):
        for answer in (await orgs.get(no_org), await orgs.put(no_org, ["a"])):
            assert (answer.status, answer.json["error"]) == (404, "org not found")
            assert answer.json["code"] == "org_not_found"
    for answer in (await orgs.get("org"), await orgs.put(root[:-1], ["a"])):
        assert answer.status == 400


async def test_it_is_the_operators_alone(orgs: Orgs) -> None:
    org = await orgs.row()
    token = await add_token(orgs.database, org)
    path = f"/orgs/{org}/plugins/allowlist"
    for method in ("GET", "PUT"):
        for used, error in ((None, "admin auth required"), (token, "invalid admin auth token")):
            answer = await orgs.api.call(method, path, b"no json", token=used)
            assert (answer.status, answer.json["error"]) == (401, error)


async def test_of_two_at_once_one_is_kept_whole(orgs: Orgs) -> None:
    org = await orgs.row()
    lists: Sequence[list[str]] = [[f"{letter}{number}" for number in range(50)] for letter in "abcdefgh"]
    for _ in range(3):
        answers = await asyncio.gather(*(orgs.put(org, names) for names in lists))
        assert {answer.status for answer in answers} == {200}
        assert sorted(await orgs.names(org)) in [sorted(names) for names in lists]


async def test_it_holds_for_everybody_below(orgs: Orgs) -> None:
    root = await orgs.row()
    workspaces = [root]
    for _ in range(31):
        workspaces.append(await orgs.row(workspaces[-1]))
    await orgs.put(root, ["allowed"])
    for workspace in (root, workspaces[1], workspaces[-1]):
        assert (await orgs.pull(workspace, "allowed")).status == 200
        answer = await orgs.pull(workspace, "other")
        assert (answer.status, answer.json["code"]) == (403, "plugin_not_in_allowlist")
        assert answer.json["error"] == 'plugin "other" is not in the org allowlist'
    await orgs.put(root, [])
    assert (await orgs.pull(workspaces[-1], "other")).status == 200
    stranger = await orgs.row()
    await orgs.put(root, ["allowed"])
    assert (await orgs.pull(stranger, "other")).status == 200


async def test_an_org_that_cannot_be_known_allows_nothing(orgs: Orgs) -> None:
    deep = await orgs.row()
    for _ in range(32):
        deep = await orgs.row(deep)
    circle = await orgs.row()
    await orgs.database.execute(
        "UPDATE workspaces SET parent_id = $2 WHERE id = $1", UUID(circle), UUID(await orgs.row(circle))
    )
    for workspace in (deep, circle):
        answer = await orgs.pull(workspace, "allowed")
        assert (answer.status, answer.json["code"]) == (503, "platform_unavailable")
        assert answer.headers["Retry-After"]
    await orgs.database.execute("UPDATE workspaces SET parent_id = NULL WHERE id = $1", UUID(circle))
