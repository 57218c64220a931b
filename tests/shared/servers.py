"""Servers that FakeDaemon cannot be: on a TCP port, or sending an answer without ever ending it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def tcp_server(serve: Serve) -> AsyncIterator[int]:
    """The port of a server on the loopback interface, which serves until leaving."""
    connections = _Connections(serve)
    async with await asyncio.start_server(connections.accept, "127.0.0.1") as server:
        yield server.sockets[0].getsockname()[1]
        await connections.end()


@asynccontextmanager
async def unix_server(serve: Serve, path: Path) -> AsyncIterator[str]:
    """The DOCKER_HOST of a server at `path`, which serves until leaving."""
    connections = _Connections(serve)
    async with await asyncio.start_unix_server(connections.accept, path):
        yield f"unix://{path}"
        await connections.end()


class _Connections:
    """Those of one server, so that nothing of them is left when it ends."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._served: list[asyncio.Task[None]] = []

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._served.append(asyncio.create_task(self._until_gone(reader, writer)))

    async def _until_gone(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        finally:
            writer.close()

    async def end(self) -> None:
        for task in self._served:
            task.cancel()
        await asyncio.gather(*self._served, return_exceptions=True)
