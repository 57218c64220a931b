"""What the server does by itself, past every middleware: in this process, to have it in a hurry."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from api import server
from api.middleware import answers
from api.routes import Route, RouteTable

HEAD = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Where a server listens that waits 0.2 s for a body, and whose answers break off halfway on request."""
    monkeypatch.setattr(server, "BODY_S", 0.2)

    async def read(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 1000
        await response.prepare(request)
        await response.write(b"the beginning")
        raise RuntimeError("and no end")

    routes = RouteTable(
        [Route("POST", "/read", "open", read), Route("POST", "/break-off", "open", break_off)]
    )
    app = web.Application(middlewares=[answers(routes)])
    routes.add_to(app)
    runner = server.Runner(app, shutdown_timeout=1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def talk(port: int, *pieces: bytes) -> bytes:
    """All that is answered, until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.05)
    async with asyncio.timeout(15):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("part", [b"", b"12345"])
async def test_a_body_that_does_not_arrive_is_given_up(port: int, part: bytes) -> None:
    answer = await talk(port, HEAD % b"read", part)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code": "invalid_body"' in answer


async def test_a_body_that_is_slow_but_arrives_is_read(port: int) -> None:
    close = HEAD.replace(b"Host: x", b"Host: x\r\nConnection: close")
    answer = await talk(port, close % b"read", b"12345", b"67890")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"1234567890")


async def test_an_answer_that_has_begun_is_ended_and_nothing_is_put_into_it(port: int) -> None:
    """An error's JSON in the middle of an archive would be taken for a part of it."""
    answer = await talk(port, HEAD % b"break-off", b"1234567890")
    assert answer.endswith(b"\r\n\r\nthe beginning")
    assert answer.count(b"HTTP/1.1") == 1
