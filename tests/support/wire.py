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
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.connection import Connection
from tests.support.exchange import Exchange, Request

_HEAD_END = b"\r\n\r\n"


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


Hook = Callable[[Request], Awaitable[Reply | None]]


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
                await client.send(head if request.method == "HEAD" else head + body)
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


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
