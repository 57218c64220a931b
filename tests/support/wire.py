"""HTTP/1.1 on a unix socket, byte for byte: what FakeDaemon and RecordingProxy have in common.

No HTTP library serves here, because most of what is tested is answers that no library would give:

    server.answer("/containers/*/json", Answer(403, "Forbidden"))            every inspect, until heal()
    server.answer("/containers/json", Half(), times=1)                       the next list only
    server.answer("/containers/*/json", b"HTTP/1.1 2OO OK\r\n\r\n")          these very bytes, then close
    server.answer("*", pause_the_row)                                        a hook, see below
    await server.fault("502")                                                one name of FAULTS, for all
    await server.heal()                                                      healthy again

A *hook* is an `async def hook(request) -> Reply | None`, called when the request is there and before
its answer: whatever it does happens between a client's question and what the client does about the
answer, every time. None lets the healthy answer through.

Every request is recorded with what was answered: `server.requests`, `server.inspects`, `server.lists`.
"""

import asyncio
import fnmatch
import json
import re
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import parse_qsl, unquote

_HEAD_END = b"\r\n\r\n"
_PIECE = 1 << 16
_VERSION_PREFIX = re.compile(r"/v(?P<version>[0-9.]+)(?=/)")
_INSPECT = re.compile(r"/containers/(?P<container>[^/]+)/json")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. A body that is neither bytes nor text is sent as JSON."""

    status: int = 200
    body: object = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> tuple[bytes, bytes]:
        """The head and the body, as they go over the wire."""
        body, content_type = self.body, "text/plain; charset=utf-8"
        if isinstance(body, str):
            body = body.encode()
        elif not isinstance(body, bytes):
            body, content_type = json.dumps(body).encode(), "application/json"
        headers = {"Content-Type": content_type, "Content-Length": str(len(body)), **self.headers}
        lines = [f"HTTP/1.1 {self.status} {_phrase(self.status)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join(lines).encode() + _HEAD_END, body


@dataclass(frozen=True, slots=True)
class Half:
    """A head that promises `answer`, then half of its body, then the end. What can be read looks bad."""

    answer: Answer = Answer(200, {"Id": "0" * 64, "State": {"Status": "exited"}, "Rest": " " * 80})


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer, for as long as the client waits."""


@dataclass(frozen=True, slots=True)
class Close:
    """The connection closed without a byte: an EOF for the client."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection reset: ECONNRESET for the client."""


@dataclass(frozen=True, slots=True)
class Slow:
    """`then` (None: the healthy answer) after so many seconds."""

    seconds: float
    then: "Reply | None" = None


def redirect(location: str = "/login", status: int = 302) -> Answer:
    """A redirect, which no client of an engine may follow."""
    return Answer(status, "", {"Location": location})


Reply = Answer | bytes | Half | Hang | Close | Reset | Slow

REFUSED, NO_SOCKET = "refused", "no socket"
_REPLIES: Mapping[str, Reply] = {
    "403": Answer(403, "Forbidden by a proxy\n"),
    "404 page not found": Answer(404, {"message": "page not found"}),
    "404 html": Answer(404, "<html><h1>404 Not Found</h1></html>", {"Content-Type": "text/html"}),
    "502": Answer(502, "<html><h1>502 Bad Gateway</h1></html>", {"Content-Type": "text/html"}),
    "redirect": redirect(),
    "half a body": Half(),
    "half a json": Answer(200, b'{"State": {"Status": "exited"', {"Content-Type": "application/json"}),
    "nothing": Close(),
    "reset": Reset(),
    "hang": Hang(),
}
FAULTS = (*_REPLIES, REFUSED, NO_SOCKET)
"""The names that `fault()` takes: the ways in which an engine, or a proxy before it, can be sick."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request's head. `path` is without the API version in front, and as it was sent otherwise."""

    method: str
    path: str
    query: Mapping[str, str]
    version: str | None
    headers: Mapping[str, str]
    head: bytes

    @classmethod
    def parse(cls, head: bytes) -> Self:
        line, headers = parse_head(head)
        method, target, _ = line.split(" ", 2)
        path, _, query = target.partition("?")
        prefix = _VERSION_PREFIX.match(path)
        return cls(
            method=method,
            path=path[prefix.end() :] if prefix else path,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            version=prefix["version"] if prefix else None,
            headers=headers,
            head=head,
        )


Hook = Callable[[Request], Awaitable[Reply | None]]


@dataclass(slots=True)
class Exchange:
    """One request and what the client got for it. Times are those of this process's clock, in UTC.

    `answered_at` is taken right before the answer's last byte leaves, so that nothing a client does
    because of the answer can be earlier. It is None, as is `status`, where no whole answer was given.
    `body` is decoded where it is JSON, else bytes.
    """

    method: str
    path: str
    query: Mapping[str, str]
    at: datetime
    status: int | None = None
    body: object = None
    answered_at: datetime | None = None

    @property
    def inspected(self) -> str | None:
        """The container name or id that this request inspects, if it is an inspect."""
        match = _INSPECT.fullmatch(self.path) if self.method == "GET" else None
        return unquote(match["container"]) if match else None

    def answer(self, status: int, body: bytes) -> None:
        """Note the whole answer; call it right before the answer's last byte is sent."""
        self.status, self.body, self.answered_at = status, _decoded(body), datetime.now(UTC)


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


class WireServer(ABC):
    """A server on the unix socket `path` that records and can be made to misbehave; see the module."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests: list[Exchange] = []
        self._scripts: list[_Script] = []
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[Exception] = []

    @abstractmethod
    async def respond(self, client: Connection, request: Request, exchange: Exchange) -> bool:
        """Give the healthy answer; whether the connection may be used again."""

    @property
    def host(self) -> str:
        """What goes into DOCKER_HOST."""
        return f"unix://{self.path}"

    @property
    def inspects(self) -> list[str]:
        """The container names and ids that were inspected, in order."""
        return [name for exchange in self.requests if (name := exchange.inspected) is not None]

    @property
    def lists(self) -> int:
        """How many lists of containers were asked for."""
        return sum(exchange.path == "/containers/json" for exchange in self.requests)

    def reset(self) -> None:
        """Forget the requests so far."""
        self.requests.clear()

    def answer(self, pattern: str, reply: Reply | Hook, *, times: int | None = None) -> None:
        """Give `reply` where the path, without the API version, fits `pattern` (as of a shell).

        For the next `times` such requests; None: until `heal()`. The newest script that fits wins.
        """
        self._scripts.insert(0, _Script(pattern, reply, times))

    async def fault(self, name: str) -> None:
        """Make the whole server sick in one of the ways of FAULTS, whatever was scripted before."""
        await self.heal()
        if name in _REPLIES:
            self.answer("*", _REPLIES[name])
        elif name in (REFUSED, NO_SOCKET):
            await self.stop(leave_file=name == REFUSED)
        else:
            raise ValueError(f"no fault {name!r}: one of {', '.join(FAULTS)}")

    async def heal(self) -> None:
        """Answer healthily again: forget the scripts, and start if stopped."""
        self._scripts.clear()
        await self.start()

    async def start(self) -> None:
        """Listen, unless it does already; a socket file in the way is replaced."""
        if self._listener is not None:
            return
        self.path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.setblocking(False)
        self._listener.bind(str(self.path))
        self._listener.listen(1024)
        self._start_task(self._accept(self._listener))

    async def stop(self, *, leave_file: bool = False) -> None:
        """Drop every connection and stop listening: ENOENT for clients, ECONNREFUSED with `leave_file`."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if not leave_file:
            self.path.unlink(missing_ok=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()
        if self._errors:
            raise ExceptionGroup(f"{type(self).__name__} or one of its hooks failed", self._errors)

    async def play(self, client: Connection, request: Request, exchange: Exchange, reply: Reply) -> bool:
        """Send `reply`; whether the connection may be used again."""
        match reply:
            case Answer():
                head, body = reply.encoded()
                await client.skip_body(request)
                exchange.answer(reply.status, body)
                await client.send(head + body)
                return True
            case bytes():
                await client.send(reply)
            case Half():
                head, body = reply.answer.encoded()
                await client.send(head + body[: len(body) // 2])
            case Close():
                await client.skip_body(request)
            case Hang():
                await client.unless_gone(asyncio.Event().wait())
            case Slow():
                slept = await client.unless_gone(asyncio.sleep(reply.seconds, result=True))
                if slept and reply.then is not None:
                    return await self.play(client, request, exchange, reply.then)
                return bool(slept) and await self.respond(client, request, exchange)
        return False

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            accepted, _ = await loop.sock_accept(listener)
            self._start_task(self._serve(Connection(accepted)))

    def _start_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _serve(self, client: Connection) -> None:
        try:
            with suppress(ConnectionError):  # the client's right, at any time
                while head := await client.head():
                    if not await self._handle(client, Request.parse(head)):
                        return
        except Exception as problem:  # noqa: BLE001 - kept for whoever leaves the `async with`
            self._errors.append(problem)
        finally:
            client.close()

    async def _handle(self, client: Connection, request: Request) -> bool:
        exchange = Exchange(request.method, request.path, request.query, datetime.now(UTC))
        self.requests.append(exchange)
        for script in self._scripts:
            if fnmatch.fnmatchcase(request.path, script.pattern) and script.times != 0:
                if script.times is not None:
                    script.times -= 1
                reply = await script.reply(request) if callable(script.reply) else script.reply
                if reply is None:
                    break
                return await self.play(client, request, exchange, reply)
        return await self.respond(client, request, exchange)


@dataclass(slots=True)
class _Script:
    pattern: str
    reply: Reply | Hook
    times: int | None


def parse_head(head: bytes) -> tuple[str, dict[str, str]]:
    """The first line, and the headers with their names in lower case."""
    line, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (text.partition(":") for text in lines)
    return line, {name.strip().lower(): value.strip() for name, _, value in pairs}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _decoded(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return body
