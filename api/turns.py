"""Who may change a container's plugins: one at a time, and one restart for a bunch.

Fetching and checking happen side by side; from the upload to the restart a container belongs to one
request. Whoever leaves while others wait leaves the restart to them, so that the last one orders it for
all. Requests that will change something announce that as soon as they know it, so that a restart does not
come between those of a bunch. This is one process's knowledge: one api runs on a host.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from uuid import UUID

PATIENCE_S = 15.0
LEAVING_S = 20.0
"""For the restarts that are ordered when the process ends: one takes 11 s where PID 1 ignores SIGTERM."""


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(slots=True)
class _Container:
    """`announced` counts those who will ask for the turn; `interested` those who wait for it or have it, and
    the restart."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    announced: int = 0
    interested: int = 0
    nobody_comes: asyncio.Event = field(default_factory=_set)
    at_rest: asyncio.Event = field(default_factory=_set)
    restart: Callable[[], Awaitable[None]] | None = None


class Turn:
    """The right to change one container's plugins; `restart_with` orders a restart for when all are done."""

    def __init__(self, container: _Container) -> None:
        self._container = container

    def restart_with(self, restart: Callable[[], Awaitable[None]]) -> None:
        """Order a restart; of several orders the last one counts."""
        self._container.restart = restart


class Turns:
    """Hands out turns, container by container. Restarts run in the background; leaving waits for them."""

    def __init__(self) -> None:
        self._containers: dict[UUID, _Container] = {}
        self._restarts: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def announced(self, workspace_id: UUID) -> AsyncIterator[None]:
        """Announce that a turn will be asked for, and wait for whoever has it, but no longer than 15 s.

        A container that is busy with our own work is slow to answer, not dead.
        """
        container = self._containers.setdefault(workspace_id, _Container())
        container.announced += 1
        container.nobody_comes.clear()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S), container.lock:
                    pass
            yield
        finally:
            container.announced -= 1
            if not container.announced:
                container.nobody_comes.set()
            self._forget(workspace_id, container)

    @asynccontextmanager
    async def turn(self, workspace_id: UUID) -> AsyncIterator[Turn]:
        """Wait for the turn, and hold it."""
        container = self._containers.setdefault(workspace_id, _Container())
        container.interested += 1
        container.at_rest.clear()
        try:
            async with container.lock:
                yield Turn(container)
        finally:
            self._leave(workspace_id, container)

    async def quiet(self, workspace_id: UUID) -> None:
        """Wait until nobody changes this container and its restart is over, but no longer than 15 s."""
        if (container := self._containers.get(workspace_id)) is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    await container.at_rest.wait()

    def _leave(self, workspace_id: UUID, container: _Container) -> None:
        if container.interested == 1 and container.restart is not None:
            # The last one's interest passes on to the restart.
            task = asyncio.create_task(self._restart(workspace_id, container))
            self._restarts.add(task)
            task.add_done_callback(self._restarts.discard)
            return
        container.interested -= 1
        if not container.interested:
            container.at_rest.set()
        self._forget(workspace_id, container)

    def _forget(self, workspace_id: UUID, container: _Container) -> None:
        if not container.announced and not container.interested:
            self._containers.pop(workspace_id, None)

    async def _restart(self, workspace_id: UUID, container: _Container) -> None:
        try:
            with suppress(TimeoutError):  # who fetches for longer than that orders a restart of its own
                async with asyncio.timeout(PATIENCE_S):
                    await container.nobody_comes.wait()
            async with container.lock:
                restart, container.restart = container.restart, None
                if restart is not None:
                    await restart()
        finally:
            self._leave(workspace_id, container)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._restarts:
            await asyncio.wait(self._restarts, timeout=LEAVING_S)
