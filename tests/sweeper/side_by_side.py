"""Scenarios that take their time, on real engines, each with a sweeper and a database of its own.

    @scenario
    async def dockerd_hangs(ground: Ground) -> None: ...

    @pytest.mark.parametrize("name", names(troubles_of_docker))
    async def test_no_false_offline(name: str, side_by_side: SideBySide) -> None:
        await side_by_side.end_of(name)

When the first of these tests begins, the scenarios of all that were selected start, because most of their
time is waiting. Each test then waits for its own.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Self
from uuid import UUID

import pytest

from shared.ids import container_name
from tests.support.engine import Container, DockerEngine, RealEngine
from tests.support.history import read_history
from tests.support.judge import Transition, false_offlines
from tests.support.podman import PodmanEngine
from tests.support.postgres import PostgresServer
from tests.support.processes import ServiceProcess
from tests.support.proxy import RecordingProxy
from tests.sweeper.service import add_workspace, eventually, quick_sweeper, statuses

APART_S = 1.0
"""Scenarios begin so far apart, the longest first: what each starts keeps a small machine busy."""

SWEEPS = 5
"""At least so many, in each trouble."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What scenarios share. `engine` is nobody's to harm, `empty` has no container at all."""

    engine: DockerEngine
    empty: PodmanEngine
    postgres: PostgresServer
    template: str
    directory: Path
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def place(self) -> Path:
        """A new directory, with a path that is short enough for sockets."""
        place = self.directory / f"s{next(self._numbers)}"
        place.mkdir()
        return place

    async def database(self) -> str:
        """The url of a new, migrated database."""
        return await self.postgres.create_database(template=self.template)


Scenario = Callable[[Ground], Awaitable[None]]
_SCENARIOS: dict[str, Scenario] = {}


def scenario(run: Scenario) -> Scenario:
    """Make it known by its name."""
    _SCENARIOS[run.__name__] = run
    return run


def names(*modules: ModuleType) -> list[str]:
    """The scenarios of these modules, in their order."""
    return [
        name for module in modules for name, run in _SCENARIOS.items() if run.__module__ == module.__name__
    ]


def selected(items: Iterable[pytest.Item]) -> list[str]:
    """The scenarios that these tests wait for."""
    return [
        str(item.callspec.params["name"])
        for item in items
        if isinstance(item, pytest.Function) and "side_by_side" in item.fixturenames
    ]


class SideBySide:
    """The scenarios that run, from entering to leaving."""

    def __init__(self, ground: Ground, selected: Iterable[str]) -> None:
        self._ground = ground
        self._selected = list(selected)
        self._running: dict[str, asyncio.Future[None]] = {}

    async def end_of(self, name: str) -> None:
        """Raises what the scenario raised; whoever asks again after that has it played again."""
        if name not in self._running:
            self._running[name] = asyncio.ensure_future(self._play(name, after_s=0))
        try:
            await asyncio.shield(self._running[name])
        except Exception:
            del self._running[name]
            raise

    async def __aenter__(self) -> Self:
        for number, name in enumerate(self._selected):
            self._running[name] = asyncio.ensure_future(self._play(name, after_s=number * APART_S))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for running in self._running.values():
            running.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _play(self, name: str, *, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await _SCENARIOS[name](self._ground)


class Play:
    """A fleet of real containers, its rows, and a proxy that hears all that the sweeper asks.

    async with Play(ground.engine, url, ground.place()) as play:
        workspaces = await play.fleet(4)
        async with play.sweeper() as sweeper: ...
        await play.is_alive(sweeper, workspaces[0])
        assert not await play.false_offlines()
    """

    def __init__(self, engine: RealEngine, url: str, directory: Path) -> None:
        self.engine = engine
        self.url = url
        self.proxy = RecordingProxy(engine.socket, directory / "proxy.sock")
        self.containers: dict[UUID, Container] = {}
        self._entered = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._entered.enter_async_context(self.proxy)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._entered.aclose()

    async def fleet(self, number: int, *, status: str = "online", reason: str = "running") -> list[UUID]:
        """Workspaces whose containers run."""
        workspaces = [await add_workspace(self.url, status=status, reason=reason) for _ in range(number)]
        for workspace in workspaces:
            self.containers[workspace] = await self.engine.container(container_name(workspace))
        return workspaces

    def sweeper(self, **environment: str) -> ServiceProcess:
        return quick_sweeper(self.url, self.proxy.host, **environment)

    async def transitions(self) -> list[Transition]:
        """What was written since the rows were made."""
        return [row for row in await read_history(self.url) if row.previous is not None]

    async def false_offlines(self) -> list[Transition]:
        return false_offlines(self.proxy.requests, await read_history(self.url))

    async def all_online(self) -> bool:
        return set((await statuses(self.url)).values()) == {"online"}

    async def all_is_well(self, sweeper: ServiceProcess) -> None:
        """Wait for a sweep in which Docker could tell about everyone."""
        await sweeper.event("sweep.completed", after=sweeper.position, unknown=0)

    async def is_alive(self, sweeper: ServiceProcess, workspace: UUID) -> None:
        """All that trouble over, the sweeper still marks: this one's container is killed, and started."""
        here = sweeper.position
        await self.containers[workspace].kill()
        await sweeper.event("workspace.marked_offline", after=here, workspace_id=str(workspace))
        await self.containers[workspace].start()
        await sweeper.event("workspace.marked_online", after=here, workspace_id=str(workspace))

    async def becomes(self, workspace: UUID, status: str, *, timeout: float) -> None:
        """Wait until the row has that status. Raises TimeoutError."""

        async def it_is() -> bool:
            return (await statuses(self.url))[workspace] == status

        await eventually(it_is, timeout=timeout)
