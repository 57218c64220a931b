"""The api's four works: who is asked for what, and how it is seen that they did it."""

import hashlib
import io
import json
import tarfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import aiohttp

from tests.api.stage import Agent
from tests.bench.load import Load
from tests.bench.reference_api import CACHED as CACHED_PATH
from tests.bench.scene import DOWNLOADED, INSTALLED, Scene
from tests.bench.sizes import (
    CACHED,
    DOWNLOAD,
    HEARTBEATS,
    INSTALL,
    LISTING,
    NGINX,
    OURS,
    REFERENCE,
    Sizes,
)

_TOLD = {
    "error_rate": 0.02,
    "sample_error": "",
    "active_tasks": 2,
    "uptime_seconds": 86_400,
    "current_task": "reading the benchmarks of a program that it has never heard of",
}


async def nothing() -> None:
    """Before or after a run."""


@dataclass(frozen=True, slots=True)
class Side:
    """A server, and what it is asked."""

    pid: int
    load: Load


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The sides that do it; `before` and `after` each run, unmeasured. `after` raises if it was not done."""

    sides: Mapping[str, Side]
    before: Callable[[], Awaitable[None]] = nothing
    after: Callable[[], Awaitable[None]] = nothing


async def listing(scene: Scene, sizes: Sizes) -> Work:
    """A whole list of what is installed in a container."""
    path = scene.inhabited.plugins
    expected = {f"plugin-{number}" for number in range(1, sizes.plugins + 1)}
    for url in (scene.ours.url, _reference_url(scene)):
        found = {plugin["name"] for plugin in json.loads(await _got(url + path, scene.inhabited))}
        assert found == expected, f"{url} lists {found}"
    return Work(sides=_both(scene, sizes, LISTING, [_request("GET", path, scene.inhabited)]))


async def download(scene: Scene, sizes: Sizes) -> Work:
    """One plugin for many. All three send the same files; nginx sends the very archive that we keep."""
    agents = scene.agents[: sizes.downloading]
    path = f"{agents[0].plugins}/{DOWNLOADED}/download"
    ours, reference = [await _got(url + path, agents[0]) for url in (scene.ours.url, _reference_url(scene))]
    (kept,) = (scene.ours.home / "cache").glob("*.tar.gz")
    assert ours == await _got(f"{scene.nginx.url}/{kept.name}", agents[0])
    assert _contents(ours) == _contents(reference) == _files(scene.registry / DOWNLOADED)
    requests = [_request("GET", f"{agent.plugins}/{DOWNLOADED}/download", agent) for agent in agents]
    from_nginx = [_request("GET", f"/{kept.name}", agent) for agent in agents]
    return Work(
        sides={
            **_both(scene, sizes, DOWNLOAD, requests),
            NGINX: Side(scene.nginx.pid, Load(scene.nginx.port, from_nginx, sizes.times[DOWNLOAD][NGINX])),
        }
    )


async def install(scene: Scene, sizes: Sizes) -> Work:
    """One large plugin into a container that has not got it."""
    place = f"/configs/plugins/{INSTALLED}"
    body = {"source": INSTALLED, "restart": False}
    expected = sum(path.stat().st_size for path in (scene.registry / INSTALLED).iterdir())

    async def remove() -> None:
        await scene.container.run("rm", "-rf", place)

    async def check() -> None:
        _, output = await scene.container.run(
            "find", place, "-type", "f", "-exec", "stat", "-c", "%u %s", "{}", "+"
        )
        files = [line.split() for line in output.splitlines()]
        assert sum(int(size) for _, size in files) == expected, output[:1000]
        assert {owner for owner, _ in files} == {"1000"}

    requests = [_request("POST", scene.inhabited.plugins, scene.inhabited, body)]
    return Work(sides=_both(scene, sizes, INSTALL, requests), before=remove, after=check)


async def heartbeats(scene: Scene, sizes: Sizes) -> Work:
    """Every agent beats, again as soon as it was answered."""

    async def forget() -> None:
        await scene.connection.execute(
            "UPDATE public.workspaces SET last_heartbeat_at = NULL, current_task = NULL"
        )

    async def check() -> None:
        heard = await scene.connection.fetchval(
            _HEARD, [UUID(agent.id) for agent in scene.agents], _TOLD["current_task"]
        )
        assert heard == len(scene.agents), f"{heard} were heard"

    def requests(path: str) -> list[str]:
        return [_request("POST", path, agent, {"workspace_id": agent.id, **_TOLD}) for agent in scene.agents]

    path = "/registry/heartbeat"
    cached = Load(scene.reference_port, requests(CACHED_PATH + path), sizes.times[HEARTBEATS][CACHED])
    return Work(
        sides={
            **_both(scene, sizes, HEARTBEATS, requests(path)),
            CACHED: Side(scene.reference.pid, cached),
        },
        before=forget,
        after=check,
    )


WORKS: Mapping[str, Callable[[Scene, Sizes], Awaitable[Work]]] = {
    LISTING: listing,
    INSTALL: install,
    DOWNLOAD: download,
    HEARTBEATS: heartbeats,
}

_HEARD = """
SELECT count(*) FROM public.workspaces
WHERE id = ANY ($1::uuid[]) AND last_heartbeat_at IS NOT NULL AND current_task = $2
"""


def _both(scene: Scene, sizes: Sizes, work: str, requests: Sequence[str]) -> dict[str, Side]:
    """The reference and ours, asked the same."""
    times = sizes.times[work]
    port = int(scene.ours.environment["PORT"])
    return {
        REFERENCE: Side(scene.reference.pid, Load(scene.reference_port, requests, times[REFERENCE])),
        OURS: Side(scene.ours.pid, Load(port, requests, times[OURS])),
    }


def _request(method: str, path: str, agent: Agent, body: object = None) -> str:
    """A whole request, as it goes over the wire."""
    content = "" if body is None else json.dumps(body)
    head = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {agent.token}"]
    if content:
        head += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*head, "", content])


def _reference_url(scene: Scene) -> str:
    return f"http://127.0.0.1:{scene.reference_port}"


async def _got(url: str, agent: Agent) -> bytes:
    headers = {"Authorization": f"Bearer {agent.token}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as response:
        response.raise_for_status()
        return await response.read()


def _contents(archive: bytes) -> dict[str, str]:
    """The files in a .tar.gz, by their names, as digests."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {
            member.name: hashlib.sha256(content.read()).hexdigest()
            for member in tar
            if (content := tar.extractfile(member)) is not None
        }


def _files(root: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in root.iterdir()}
