"""aiohttp's server, but for what it would say by itself, and for how long it would wait.

HTTP that cannot be parsed never becomes a request, so no middleware sees it: aiohttp would answer with the
parser's words in plain text, and log an error with a traceback for what is only a bad client. And nothing
in it bounds how slowly a body may arrive.
"""

import asyncio
import resource
import socket
import time
from http import HTTPStatus
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.typedefs import Handler

from api.errors import InternalError, InvalidRequest
from api.middleware import refusal
from shared import systemd
from shared.errors import SettingsError
from shared.settings import Settings, cannot_listen

BODY_S = 30.0
MOST_FILES = 65536
MOST_WAITING = 4096
"""Connections that were made while nobody accepts, such as during a restart."""
FIRST_WORD_S = 2.0
"""For a connection that was accepted at the last moment to say what it wants."""


def admit_many_connections() -> None:
    """Let this process have as many open files as it may: a shell and systemd give it 1,024 at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


async def listen(runner: web.AppRunner, settings: Settings) -> None:
    """Serve at the sockets that systemd holds for us, else at BIND_ADDRESS and PORT. Raises SettingsError."""
    try:
        passed = systemd.passed_sockets()
        fit = all(each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for each in passed)
    except OSError:
        fit = False
    if not fit:
        raise SettingsError("ListenStream", "must be all that the socket unit opens, without Accept=yes")
    for each in passed:
        await web.SockSite(runner, each, backlog=MOST_WAITING).start()
    if passed:
        return
    try:
        await web.TCPSite(runner, settings.bind_address, settings.port, backlog=MOST_WAITING).start()
    except OSError as exc:
        raise cannot_listen(exc, "PORT") from exc


class _Protocol(web.RequestHandler):
    __slots__ = ("has_spoken",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.has_spoken = False
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self.has_spoken = True
        super().data_received(data)

    def log_exception(self, *args: Any, exc_info: Any = None, **options: Any) -> None:
        if not isinstance(exc_info, web.RequestPayloadError):  # the rest of a body that nobody wants any more
            super().log_exception(*args, exc_info=exc_info, **options)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - the parser's words
    ) -> web.StreamResponse:
        if request.writer.output_size:
            raise ConnectionError("an answer has begun: only its end can say that it failed")
        broken = status < HTTPStatus.INTERNAL_SERVER_ERROR
        error = InvalidRequest("malformed HTTP request") if broken else InternalError()
        return refusal(request, error, exc)


class _Server(web.Server):
    def __init__(self, handler: Any, **options: Any) -> None:
        super().__init__(handler, **options)
        self._options = {key: value for key, value in options.items() if key != "request_factory"}

    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._options)


class Runner(web.AppRunner):
    """An AppRunner that answers everything as the middlewares do. `options` are a web.RequestHandler's."""

    def __init__(self, app: web.Application, *, shutdown_timeout: float, **options: Any) -> None:
        super().__init__(app, shutdown_timeout=shutdown_timeout)
        self._options = options

    async def cleanup(self) -> None:
        """Accept no more, answer what was accepted, and end."""
        for site in list(self.sites):
            await site.stop()
        if self.server is not None:
            await _until_all_have_spoken(self.server)
        await super().cleanup()

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        handle: Handler = made.request_handler

        async def handle_or_refuse(request: web.Request) -> web.StreamResponse:
            patience = None
            if not request.content.is_eof():
                patience = asyncio.get_running_loop().call_later(BODY_S, _give_up, request.content)
            try:
                return await handle(request)
            except web.HTTPExpectationFailed:  # before the middlewares
                return refusal(request, InvalidRequest("unknown expectation"))
            finally:
                if patience is not None:
                    patience.cancel()

        return _Server(handle_or_refuse, request_factory=made.request_factory, **self._options)


async def _until_all_have_spoken(server: web.Server) -> None:
    """Or until it takes too long. To close a connection while a request is on its way would reset it."""
    deadline = time.monotonic() + FIRST_WORD_S
    while time.monotonic() < deadline:
        await asyncio.sleep(0.01)  # first: what was accepted at this moment is no connection yet
        if all(each.has_spoken for each in server.connections if isinstance(each, _Protocol)):
            return


def _give_up(body: StreamReader) -> None:
    if not body.is_eof():
        body.set_exception(web.RequestPayloadError("it did not arrive in time"))
