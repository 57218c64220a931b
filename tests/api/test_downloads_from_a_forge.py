"""Downloads of plugins from repositories, and the bound of the cache on disk, as an agent sees them."""

import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.api.ground import put_plugin
from tests.api.stage import Asked, Stage
from tests.support.forge import Forge, serve
from tests.support.rogue import refuse

CACHE_BYTES = 2**20


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    with Forge(tmp_path_factory.mktemp("forge")) as forge:
        yield forge


@pytest.fixture(scope="module")
def stage_settings(forge: Forge) -> Mapping[str, str]:
    return {"GITHUB_BASE_URL": forge.url, "CACHE_MAX_BYTES": str(CACHE_BYTES)}


async def pull(stage: Stage, name: str, source: str = "") -> Asked:
    agent = await stage.agent(runtime="external")
    query = f"?source={quote(source, safe='')}"
    return await stage.ask("GET", f"{agent.plugins}/{name}/download{query}", token=agent.token)


def files(asked: Asked) -> dict[str, tuple[bytes, int]]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(asked.answer.body), mode="r:gz") as tar:
        for member in tar:
            content = tar.extractfile(member)
            found[member.name] = (content.read() if content else b"", member.mode)
    return found


async def test_a_tag_and_the_same_tag_on_another_commit(stage: Stage, forge: Forge) -> None:
    repository = forge.repository("Owner/Tool")
    commit = repository.commit({"run": (0o100755, b"1"), ".x": b""}, tag="v1")
    first = await pull(stage, "Tool", " github://Owner/Tool.git#v1 ")
    assert (first.status, files(first)) == (200, {"run": (b"1", 0o755), ".x": (b"", 0o644)})
    assert first.answer.headers["X-Plugin-Source"] == "github://Owner/Tool#v1"
    assert first.answer.headers["Content-Disposition"] == 'attachment; filename="Tool.tar.gz"'
    fetches = [seen for seen in forge.requests if seen.method == "POST"]
    again = await pull(stage, "Tool", "github://Owner/Tool#v1")
    by_commit = await pull(stage, "Tool", f"github://Owner/Tool#{commit.upper()}")
    tags = {asked.answer.headers["ETag"] for asked in (first, again, by_commit)}
    assert tags == {first.answer.headers["ETag"]}
    assert by_commit.answer.headers["X-Plugin-Source"] == f"github://Owner/Tool#{commit}"
    assert len(fetches) < len([seen for seen in forge.requests if seen.method == "POST"])

    repository.commit({"run": b"2"})
    repository.git("tag", "--force", "--annotate", "--message=moved", "v1", "main")
    assert files(await pull(stage, "Tool", "github://Owner/Tool#v1")) == {"run": (b"2", 0o644)}


async def test_what_the_forge_answers(stage: Stage, forge: Forge) -> None:
    forge.repository("o/p").commit({"a": b"1"}, tag="v1")
    for answer, source, status, code in (
        (serve, "github://o/p#v2", 404, "plugin_not_at_source"),
        (serve, "github://o/p#main", 422, "unpinned_source"),
        (refuse(503), "github://o/p#v1", 502, "fetch_failed"),
    ):
        forge.answer = answer
        asked = await pull(stage, "p", source)
        assert (asked.status, asked.json["code"]) == (status, code)
        assert asked.json["source"] == source
        assert asked.answer.headers["Content-Type"] == "application/json; charset=utf-8"
    forge.answer = serve


async def test_a_link_in_a_repository_leads_nowhere(stage: Stage, forge: Forge, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("what is in a file of this host")
    link: dict[str, bytes | tuple[int, bytes]] = {"a": b"1", "x": (0o120000, bytes(secret))}
    forge.repository("o/link").commit(link, tag="v1")
    asked = await pull(stage, "link", "github://o/link#v1")
    assert (asked.status, asked.json["error"]) == (422, "plugin content refused: symbolic link: x")
    assert secret.read_text() not in asked.answer.body.decode()


async def test_the_cache_stays_below_its_bound(stage: Stage) -> None:
    names = [f"p{number}" for number in range(8)]
    for name in names:
        put_plugin(stage.api.home / "plugins", name, {"noise": os.urandom(CACHE_BYTES // 4)})
    for name in (*names, *reversed(names)):
        assert (await pull(stage, name)).status == 200
        cached = list((stage.api.home / "cache").iterdir())
        assert all(path.name.endswith(".tar.gz") for path in cached)
        assert sum(path.stat().st_size for path in cached) <= CACHE_BYTES
    assert len(cached) == 3
