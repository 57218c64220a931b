"""Who may change a container's plugins: one at a time, and one restart for a bunch.

Fetching and checking happen side by side; from the upload to the restart a container belongs to one
request. Whoever leaves while others wait leaves the restart to them, so that the last one orders it for
all. This is one process's knowledge: one api runs on a host.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from uuid import UUID

PATIENCE_S = 15.0


@dataclass(slots=True)
class _Container:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    interested: int = 0
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
    async def turn(self, workspace_id: UUID) -> AsyncIterator[Turn]:
        """Wait for the turn, and hold it."""
        container = self._containers.setdefault(workspace_id, _Container())
        container.interested += 1
        try:
            async with container.lock:
                yield Turn(container)
        finally:
            self._leave(workspace_id, container)

    def _leave(self, workspace_id: UUID, container: _Container) -> None:
        if container.interested == 1 and container.restart is not None:
            # The last one's interest passes on to the restart.
            task = asyncio.create_task(self._restart(workspace_id, container))
            self._restarts.add(task)
            task.add_done_callback(self._restarts.discard)
            return
        container.interested -= 1
        if not container.interested:
            del self._containers[workspace_id]

    async def _restart(self, workspace_id: UUID, container: _Container) -> None:
        try:
            async with container.lock:
                restart, container.restart = container.restart, None
                if restart is not None:
                    await restart()
        finally:
            self._leave(workspace_id, container)

    async def quiet(self, workspace_id: UUID) -> None:
        """Wait until nobody changes this container or restarts it for us, but no longer than 15 s.

        A container that is busy with our own work is slow to answer, not dead.
        """
        container = self._containers.get(workspace_id)
        if container is None:
            return
        try:
            async with asyncio.timeout(PATIENCE_S), container.lock:
                pass
        except TimeoutError:
            return

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.gather(*self._restarts)
