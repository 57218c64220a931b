"""The api, and dockerd, killed at any moment of an install: one whole tree, found again by the next request.

Each version of the plugin is told by every one of its files, so no two versions can be taken for one.
"""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.api.ground import Ground, Seen, Workspace
from tests.support.api import Answer, running_api
from tests.support.engine import DockerEngine

FILES = 100
NOISE = 2 * 2**20
RECOVERIES = ("list", "install", "uninstall")
LONG = (pytest.mark.long, pytest.mark.timeout(7200))


class Chaos:
    """A workspace, the versions of a plugin, and apis that follow each other on one home."""

    def __init__(self, url: str, engine: DockerEngine, directory: Path) -> None:
        self.seed = random.randrange(2**32)
        print(f"seed {self.seed}")
        self.random = random.Random(self.seed)
        self.engine = engine
        self._environment = {"DATABASE_URL": url, "DOCKER_HOST": engine.host}
        self._directory = directory
        self._number = 0
        self._trees: dict[str, Mapping[str, Seen]] = {}
        self.workspace: Workspace

    @asynccontextmanager
    async def api(self) -> AsyncIterator[Ground]:
        async with running_api(self._environment, self._directory) as api:
            yield Ground(api, self.engine)
            assert not api.events("request.failed"), self.seed

    def next_version(self, ground: Ground) -> str:
        """Put another version into the registry; its name."""
        self._number += 1
        version = str(self._number)
        mark = version.encode()
        files = {f"d{number % 20}/f{number}": b"%s %d" % (mark, number) for number in range(FILES)}
        noise = mark + self.random.randbytes(NOISE)
        ground.plugin("p", {"plugin.yaml": b"version: '%s'" % mark, "noise": noise, **files})
        self._trees[version] = ground.expected("p")
        return version

    async def version(self) -> str | None:
        """Which version is live, and whole; None if there is none."""
        tree = await self.workspace.tree("/configs/plugins/p")
        if not tree:
            return None
        found = [version for version, expected in self._trees.items() if expected == tree]
        assert found, f"a tree of no version, seed {self.seed}: {len(tree)} entries"
        return found[0]

    async def quiet(self) -> None:
        """Wait until no script of a killed api runs any more."""
        async with asyncio.timeout(60):
            while True:
                _, top = await self.engine.request("GET", f"/containers/{self.workspace.container.id}/top")
                if not any("healthsweep" in " ".join(process) for process in top["Processes"]):
                    return
                await asyncio.sleep(0.02)

    async def recover(self, ground: Ground, how: str, old: str | None, new: str) -> str | None:
        """One request, of whichever kind, after which all is well; the live version then."""
        if how == "list":
            listed = {plugin["name"]: plugin["version"] for plugin in await ground.installed(self.workspace)}
            live = await self.version()
            assert live in (old, new), self.seed
            assert listed.get("p") == live, self.seed
            return live
        if how == "install":
            version = self.next_version(ground)
            answer = await ground.install(self.workspace, "p")
            assert (answer.status, await self.version()) == (200, version), (answer.body, self.seed)
            return version
        answer = await ground.uninstall(self.workspace, "p")
        assert answer.status == 200 or (old, answer.status) == (None, 404), (answer.body, self.seed)
        assert await self.version() is None, self.seed
        return None


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=LONG)])
async def test_the_api_is_killed_at_any_moment(
    database_url: str, docker: DockerEngine, short_directory: Path, kills: int
) -> None:
    chaos = Chaos(database_url, docker, short_directory / "api")
    async with chaos.api() as ground:
        chaos.workspace = await ground.workspace()
        old: str | None = chaos.next_version(ground)
        started = time.monotonic()
        assert (await ground.install(chaos.workspace, "p")).status == 200
        longest = (time.monotonic() - started) * 1.2
    found = set()
    new = ""
    for number in range(kills):
        async with chaos.api() as ground:
            if number:
                old = await chaos.recover(ground, RECOVERIES[number % 3], old, new)
            new = chaos.next_version(ground)
            asking = asyncio.create_task(ground.install(chaos.workspace, "p"))
            moment = chaos.random.uniform(0, longest)
            await asyncio.sleep(moment)
            ground.api.send_signal(signal.SIGKILL)
            await asyncio.gather(asking, return_exceptions=True)
        await chaos.quiet()
        live = await chaos.version()
        assert live in (old, new, None), f"killed after {moment:.3f} s, seed {chaos.seed}"
        found.add({old: "old", new: "new"}.get(live, "absent"))
    print(f"found {found}")
    async with chaos.api() as ground:
        await chaos.recover(ground, "install", old, new)
        ground.workspaces.append(chaos.workspace)
        await ground.check_nothing_is_left()


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=LONG)])
async def test_dockerd_is_killed_at_any_moment(
    database_url: str, private_docker: DockerEngine, short_directory: Path, kills: int
) -> None:
    chaos = Chaos(database_url, private_docker, short_directory / "api")
    async with chaos.api() as ground:
        chaos.workspace = await ground.workspace()
        old: str | None = chaos.next_version(ground)
        started = time.monotonic()
        assert (await ground.install(chaos.workspace, "p")).status == 200
        longest = time.monotonic() - started
        for number in range(kills):
            new = chaos.next_version(ground)
            asking = asyncio.create_task(ground.install(chaos.workspace, "p"))
            moment = chaos.random.uniform(0, longest)
            await asyncio.sleep(moment)
            await private_docker.kill()
            _check_honest(await asking, f"killed after {moment:.3f} s, seed {chaos.seed}")
            await private_docker.start()
            if await chaos.workspace.container.status() != "running":
                await chaos.workspace.container.start()
            live = await chaos.version()
            assert live in (old, new, None), f"killed after {moment:.3f} s, seed {chaos.seed}"
            old = await chaos.recover(ground, RECOVERIES[number % 3], old, new)
        await chaos.recover(ground, "install", old, "")
        await ground.check_nothing_is_left()


def _check_honest(answer: Answer, about: str) -> None:
    if answer.status != 200:
        seen = (answer.status, answer.json["code"])
        assert seen == (503, "container_engine_unavailable"), f"{about}: {answer.body!r}"
