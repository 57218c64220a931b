"""Real containers, each with its row in a real database: what a sweep sweeps."""

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

import asyncpg

from shared.ids import container_name
from tests.support.engine import Container, RealEngine

_AT_ONCE = 3  # dockerd starts no more of them in a second, however many it is asked for
_COMMAND = ("/bin/sleep", "2000000000")


class Fleet:
    """Workspaces of which all run, until `kill`; every row is online."""

    def __init__(self, *, engine: RealEngine, connection: asyncpg.Connection) -> None:
        self._engine = engine
        self._connection = connection
        self._containers: dict[UUID, Container] = {}
        self._dead: Sequence[UUID] = ()

    @property
    def names(self) -> list[str]:
        return [container.name for container in self._containers.values()]

    async def grow(self, size: int) -> None:
        """Add workspaces until there are `size`."""
        new = [uuid4() for _ in range(size - len(self._containers))]
        some = asyncio.Semaphore(_AT_ONCE)

        async def start(workspace_id: UUID) -> Container:
            async with some:
                return await self._engine.container(container_name(workspace_id), command=_COMMAND)

        containers = await asyncio.gather(*map(start, new))
        self._containers.update(zip(new, containers, strict=True))
        await self._connection.executemany(
            "INSERT INTO public.workspaces (id, name, status) VALUES ($1, $2, 'online')",
            [(workspace_id, f"agent-{number}") for number, workspace_id in enumerate(new)],
        )
        await self._connection.execute("ANALYZE public.workspaces")  # as autovacuum will

    async def kill(self, count: int) -> None:
        """End `count` containers, spread over the fleet."""
        ids = list(self._containers)
        self._dead = ids[:: len(ids) // count][:count]
        for workspace_id in self._dead:
            await self._containers[workspace_id].kill()

    async def revive(self) -> None:
        """Start again what was killed."""
        for workspace_id in self._dead:
            await self._containers[workspace_id].start()
        self._dead = ()

    async def check_and_reset(self) -> None:
        """Whether the rows of the dead, and only those, are offline; then all are online again."""
        offline = await self._connection.fetch(
            "UPDATE public.workspaces SET status = 'online' WHERE status = 'offline' RETURNING id"
        )
        if {row["id"] for row in offline} != set(self._dead):
            raise AssertionError(f"{len(offline)} are offline, and {len(self._dead)} are dead")
