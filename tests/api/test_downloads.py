"""Downloads as agents see them: headers, ranges, resuming, and what is recorded."""

import asyncio
import io
import os
import tarfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import pytest

from tests.api.ground import Content, put_plugin
from tests.api.stage import Agent, Asked, add_agent, ask
from tests.support.api import Api

SMALL: dict[str, Content] = {
    "plugin.yaml": b"version: 1\n",
    ".hidden/x": b"",
    "hooks/run": (b"#!/bin/sh\n", 0o750),
    "rules/größe.md": "ä".encode(),
    "noise": os.urandom(10_000),
}


@dataclass
class Downloads:
    """An external workspace that pulls a plugin of the registry; its name is the test's alone."""

    api: Api
    database: asyncpg.Connection
    agent: Agent
    name: str = "p"

    def __post_init__(self) -> None:
        self.name = f"p-{self.agent.id}"

    @property
    def path(self) -> str:
        return f"{self.agent.plugins}/{self.name}/download"

    def offer(self, files: Mapping[str, Content] = SMALL) -> None:
        put_plugin(self.api.home / "plugins", self.name, files)

    async def get(self, *, method: str = "GET", query: str = "", **headers: str) -> Asked:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await ask(self.api, method, f"{self.path}{query}", token=self.agent.token, headers=sent)

    async def recorded(self) -> bool:
        return bool(
            await self.database.fetchval(
                "SELECT count(*) FROM healthsweep.plugin_records WHERE workspace_id = $1", UUID(self.agent.id)
            )
        )


@pytest.fixture
async def downloads(api: Api, database: asyncpg.Connection) -> AsyncIterator[Downloads]:
    yield Downloads(api, database, await add_agent(database, runtime="external"))
    assert not api.events("request.failed")


def lasting(asked: Asked) -> dict[str, str]:
    """The headers but those that differ from answer to answer."""
    headers = {name.lower(): value for name, value in asked.answer.headers.items()}
    for name in ("date", "server", "x-request-id"):
        assert headers.pop(name)
    return headers


async def test_the_answer_and_what_is_in_it(downloads: Downloads) -> None:
    downloads.offer()
    asked = await downloads.get(Accept_Encoding="gzip, deflate, br")
    assert asked.status == 200
    assert asked.events == ["plugin.pulled", "request.completed"]
    headers = lasting(asked)
    assert len(headers.pop("etag")) == 34
    assert headers == {
        "content-type": "application/gzip",
        "content-length": str(len(asked.answer.body)),
        "content-disposition": f'attachment; filename="{downloads.name}.tar.gz"',
        "x-plugin-name": downloads.name,
        "x-plugin-source": f"local://{downloads.name}",
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "x-content-type-options": "nosniff",
    }
    with tarfile.open(fileobj=io.BytesIO(asked.answer.body), mode="r:gz") as tar:
        members = {member.name: member for member in tar}
        assert list(members) == sorted([*SMALL, ".hidden", "hooks", "rules"], key=str.encode)
        for path, content in SMALL.items():
            data, mode = content if isinstance(content, tuple) else (content, 0o644)
            file = tar.extractfile(members[path])
            assert file
            assert (file.read(), members[path].mode) == (data, mode)
            assert members[path].isreg()


async def test_the_same_content_is_the_same_bytes_and_another_one_has_another_tag(
    downloads: Downloads,
) -> None:
    downloads.offer()
    first = (await downloads.get()).answer
    downloads.offer(dict(reversed(SMALL.items())))
    again = (await downloads.get()).answer
    assert again.body == first.body
    assert again.headers["ETag"] == first.headers["ETag"]
    tags = {first.headers["ETag"]}
    for change in ({"noise": b"x"}, {"hooks/run": (b"#!/bin/sh\n", 0o755)}, {"new": b""}):
        downloads.offer({**SMALL, **change})
        tags.add((await downloads.get()).answer.headers["ETag"])
    assert len(tags) == 4


async def test_a_change_is_seen_whatever_its_age(downloads: Downloads) -> None:
    downloads.offer()
    await asyncio.sleep(2.2)
    first = (await downloads.get()).answer
    cached = set((downloads.api.home / "cache").iterdir())
    assert (await downloads.get()).answer.body == first.body
    assert set((downloads.api.home / "cache").iterdir()) == cached
    file = downloads.api.home / "plugins" / downloads.name / "noise"
    before = file.stat()
    file.write_bytes(os.urandom(10_000))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (await downloads.get()).answer.headers["ETag"] != first.headers["ETag"]


async def test_who_has_it_already_gets_no_bytes(downloads: Downloads) -> None:
    downloads.offer()
    etag = (await downloads.get(method="HEAD")).answer.headers["ETag"]
    for tags in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        asked = await downloads.get(If_None_Match=tags, Range="bytes=0-1")
        assert (asked.status, asked.answer.body) == (304, b"")
        assert asked.answer.headers["ETag"] == etag
    assert (await downloads.get(If_None_Match='"other"')).status == 200


async def test_head_is_get_without_the_bytes(downloads: Downloads) -> None:
    downloads.offer()
    head = await downloads.get(method="HEAD", Range="bytes=0-1")
    assert not await downloads.recorded()
    get = await downloads.get()
    assert (head.status, head.answer.body) == (200, b"")
    assert lasting(head) == lasting(get)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("0-0", 0, 0), ("5-9", 5, 9), ("100-", 100, -1), ("-7", -7, -1), ("9-999999999", 9, -1)],
)
async def test_a_range(downloads: Downloads, asked: str, first: int, last: int) -> None:
    downloads.offer()
    whole = (await downloads.get()).answer
    size = len(whole.body)
    start, end = first % size, last % size
    answer = (await downloads.get(Range=f"bytes={asked}", If_Range=whole.headers["ETag"])).answer
    assert (answer.status, answer.body) == (206, whole.body[start : end + 1])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end}/{size}"
    assert answer.headers["Content-Length"] == str(end - start + 1)
    assert answer.headers["ETag"] == whole.headers["ETag"]


@pytest.mark.parametrize("asked", ["bytes=3-1", "bytes=0-1,4-5", "bytes=x", "lines=0-1", "bytes=-", ""])
async def test_what_is_no_range_is_served_whole(downloads: Downloads, asked: str) -> None:
    downloads.offer()
    answer = (await downloads.get(Range=asked)).answer
    assert answer.status == 200
    assert len(answer.body) == int(answer.headers["Content-Length"])


async def test_a_range_behind_the_end(downloads: Downloads) -> None:
    downloads.offer()
    size = (await downloads.get(method="HEAD")).answer.headers["Content-Length"]
    asked = await downloads.get(Range=f"bytes={size}-")
    assert (asked.status, asked.answer.json["size_bytes"]) == (416, int(size))
    assert asked.answer.headers["Content-Range"] == f"bytes */{size}"
    assert not await downloads.recorded()


async def test_a_range_of_another_version_is_served_whole(downloads: Downloads) -> None:
    downloads.offer()
    etag = (await downloads.get()).answer.headers["ETag"]
    for other in ('"other"', f"W/{etag}", "Sat, 01 Jan 2033 00:00:00 GMT"):
        assert (await downloads.get(Range="bytes=5-", If_Range=other)).status == 200


async def test_what_is_recorded_and_then_listed(downloads: Downloads) -> None:
    downloads.offer()
    api, database = downloads.api, downloads.database
    for runtime, headers, is_recorded in (
        ("external", {}, True),
        ("kimi", {"Range": "bytes=10-"}, True),
        ("external", {"If_None_Match": "*"}, False),
        ("langgraph", {}, False),
    ):
        other = Downloads(api, database, await add_agent(database, runtime=runtime))
        other.name = downloads.name
        asked = await other.get(**headers)
        assert await other.recorded() == is_recorded == ("plugin.pulled" in asked.events)
        if not is_recorded:
            continue
        (listed,) = (await ask(api, "GET", other.agent.plugins, token=other.agent.token)).json
        assert listed["name"] == downloads.name
        assert listed["source"] == f"local://{downloads.name}"
        assert listed["digest"].startswith("h1:")
        assert listed["pulled_at"]
        assert listed["version"] == "1"


async def test_a_pull_that_cannot_be_recorded_is_a_pull(downloads: Downloads) -> None:
    downloads.offer()
    await downloads.database.execute(
        "CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = 'disk_full'; END $$;"
        "CREATE TRIGGER full_disk BEFORE INSERT ON healthsweep.plugin_records FOR EACH ROW"
        f" WHEN (NEW.plugin_name = '{downloads.name}') EXECUTE FUNCTION full_disk()"
    )
    asked = await downloads.get()
    await downloads.database.execute("DROP TRIGGER full_disk ON healthsweep.plugin_records")
    assert asked.status == 200
    assert asked.events == ["plugin.record_failed", "request.completed"]
    assert asked.lines[0]["step"] == "pull"


@pytest.mark.parametrize(
    ("name", "source", "error"),
    [
        ("p", "local://q", {"code": "plugin_name_mismatch", "resolved_name": "q", "requested_name": "p"}),
        ("p", "github://o/P#v1", {"code": "plugin_name_mismatch", "resolved_name": "P"}),
        ("a..b", "", {"code": "invalid_plugin_name", "error": "invalid plugin name"}),
        ("p", "local://a..b", {"code": "invalid_plugin_name"}),
        ("p", "github://o", {"code": "invalid_source", "error": "invalid plugin source"}),
        ("p", "hg://o/p", {"code": "unknown_scheme", "available_schemes": ["github", "local"]}),
    ],
)
async def test_what_is_asked_for_wrongly(
    downloads: Downloads, name: str, source: str, error: dict[str, object]
) -> None:
    downloads.name = name
    asked = await downloads.get(query=f"?source={source.replace('#', '%23')}")
    assert asked.status == 400
    assert {key: asked.json.get(key) for key in error} == error


async def test_the_refusals_that_an_install_has_too(downloads: Downloads) -> None:
    asked = await downloads.get()
    assert (asked.status, asked.json["error"]) == (404, "failed to fetch plugin from local")
    asked = await downloads.get(query=f"?source=github://o/{downloads.name}")
    assert (asked.status, asked.json["code"]) == (422, "unpinned_source")
    org = UUID(downloads.agent.id)
    await downloads.database.execute(
        "INSERT INTO org_plugin_allowlist (org_id, plugin_name, enabled_by) VALUES ($1, 'else', 'me')", org
    )
    asked = await downloads.get()
    error = f'plugin "{downloads.name}" is not in the org allowlist'
    assert (asked.status, asked.json["error"]) == (403, error)
    await downloads.database.execute("UPDATE workspaces SET parent_id = id WHERE id = $1", org)
    asked = await downloads.get()
    assert (asked.status, asked.json["code"]) == (503, "platform_unavailable")
    await downloads.database.execute("UPDATE workspaces SET parent_id = NULL WHERE id = $1", org)
