"""One HTTP connection, read byte for byte: of a client of WireServer, and of RecordingProxy to its engine."""

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from tests.support.exchange import Request

_HEAD_END = b"\r\n\r\n"
_PIECE = 1 << 16

T = TypeVar("T")


class Connection:
    """One HTTP connection of either side, read without any buffer of our own.

    The last byte of each head is left in the socket until something else is done with the connection:
    a unix socket that is closed with unread bytes resets its peer, and that is the only way to do so.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._held = 0

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Connect to the unix socket at `path`. Raises OSError."""
        connecting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connecting.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connecting, str(path))
        except BaseException:
            connecting.close()
            raise
        return cls(connecting)

    def close(self) -> None:
        self._socket.close()

    async def send(self, data: bytes) -> None:
        self._release()
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def head(self) -> bytes:
        """The next head; b"" at the end of the connection."""
        head = await self._until(_HEAD_END)
        if head:
            self._socket.recv(len(head) - 1)
            self._held = 1
        return head

    async def body(self, headers: Mapping[str, str], *, answer: bool) -> AsyncIterator[tuple[bytes, bytes]]:
        """The body behind a head: pairs of bytes as they are on the wire, and the payload in them.

        Without a length, an answer's body lasts until the connection ends, and a request has none.
        """
        self._release()
        if headers.get("transfer-encoding", "").lower() == "chunked":
            size = -1
            while size:
                line = await self._exactly(len(await self._until(b"\r\n")))
                if not line:
                    raise ConnectionResetError("no end of the body came")
                yield line, b""
                size = int(line.partition(b";")[0], 16)
                chunk = await self._exactly(size + 2)
                yield chunk, chunk[:-2]
        elif length := headers.get("content-length"):
            left = int(length)
            while left:
                piece = await self._some(min(left, _PIECE))
                left -= len(piece)
                yield piece, piece
        elif answer:
            while await self._readable() and (piece := self._socket.recv(_PIECE)):
                yield piece, piece

    async def skip_body(self, request: Request) -> None:
        """Read what is left of `request`; a connection closed after that is an EOF and no reset."""
        async for _ in self.body(request.headers, answer=False):
            pass

    async def unless_gone(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of `work`, or None if the peer hangs up first. `work` may not read from the peer."""
        self._release()
        working, leaving = asyncio.create_task(work), asyncio.create_task(self._gone())
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            return await working if working.done() else None
        finally:
            for task in (working, leaving):
                task.cancel()
            await asyncio.gather(working, leaving, return_exceptions=True)

    async def copy_to(self, other: "Connection") -> None:
        """Everything that still comes, as it comes: for a connection that has left HTTP behind."""
        self._release()
        while await self._readable() and (piece := self._socket.recv(_PIECE)):
            await other.send(piece)
        with suppress(OSError):
            other._socket.shutdown(socket.SHUT_WR)

    async def _gone(self) -> None:
        while await self._readable() and self._socket.recv(1, socket.MSG_PEEK):
            await asyncio.sleep(0.05)  # the rest of a request that nobody reads

    def _release(self) -> None:
        if self._held:
            self._held = 0
            self._socket.recv(1)

    async def _until(self, marker: bytes) -> bytes:
        """What comes up to and including `marker`, left unread; b"" at the end of the connection."""
        self._release()
        while await self._readable() and (seen := self._socket.recv(_PIECE, socket.MSG_PEEK)):
            if (end := seen.find(marker)) >= 0:
                return seen[: end + len(marker)]
            await asyncio.sleep(0.001)  # a part of it; the socket stays readable, so wait for the rest
        return b""

    async def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += await self._some(size - len(data))
        return data

    async def _some(self, most: int) -> bytes:
        await self._readable()
        if not (data := self._socket.recv(most)):
            raise ConnectionResetError("the connection ended in the middle of a message")
        return data

    async def _readable(self) -> bool:
        """Wait until there is something to read, the end included. Always true."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._socket, ready.set)
        try:
            return await ready.wait()
        finally:
            loop.remove_reader(self._socket)
