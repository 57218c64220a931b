"""A proxy in front of a real engine that records the wire, and falls sick on demand.

    async with RecordingProxy(engine.socket, directory / "proxy.sock") as proxy:
        ...DOCKER_HOST=proxy.host...
        await proxy.fault("404 html")          one of tests.support.wire.FAULTS
        await proxy.heal()
        proxy.answer("/containers/*/json", hook)  or anything else that tests.support.wire can do
        assert not false_offlines(proxy.requests, transitions)     tests.support.judge

A recorded answer is what the client got, whether the engine gave it or a fault did.
"""

from contextlib import suppress
from pathlib import Path

from tests.support.connection import Connection
from tests.support.exchange import Exchange, Request, parse_head
from tests.support.wire import WireServer

_KEPT = 1 << 23  # of a body; the lists and inspects of thousands of containers are smaller
_SWITCHING_PROTOCOLS = 101


class RecordingProxy(WireServer):
    """See the module. `upstream` is the engine's socket, `path` the socket that clients are told."""

    def __init__(self, upstream: Path, path: Path) -> None:
        super().__init__(path)
        self.upstream = upstream

    async def respond(self, client: Connection, request: Request, exchange: Exchange) -> bool:
        try:
            upstream = await Connection.open(self.upstream)
        except OSError:
            await client.skip_body(request)
            return False  # the client, whom we have accepted already, sees an EOF
        try:
            await upstream.send(request.head)
            async for piece, _ in client.body(request.headers, answer=False):
                await upstream.send(piece)
            if not (head := await client.unless_gone(upstream.head())):
                return False
            if int(parse_head(head)[0].split(" ")[1]) == _SWITCHING_PROTOCOLS:
                await self._tunnel(client, upstream, head)
                return False
            return bool(await client.unless_gone(_pass_on(upstream, client, head, exchange)))
        finally:
            upstream.close()

    async def _tunnel(self, client: Connection, upstream: Connection, head: bytes) -> None:
        """Both ways until the engine's side ends, as the stream of an exec does."""
        await client.send(head)
        inward = self._start_task(client.copy_to(upstream))
        try:
            await upstream.copy_to(client)
        finally:
            inward.cancel()
            with suppress(BaseException):
                await inward


async def _pass_on(upstream: Connection, client: Connection, head: bytes, exchange: Exchange) -> bool:
    """The engine's answer, piece by piece, the last one held back until it is noted as given."""
    line, headers = parse_head(head)
    status = int(line.split(" ")[1])
    held, payload = head, bytearray()
    bodiless = status in (204, 304) or exchange.method == "HEAD"
    if not bodiless:
        async for piece, data in upstream.body(headers, answer=True):
            await client.send(held)
            held = piece
            payload += data[: _KEPT - len(payload)]
    exchange.answer(status, bytes(payload))
    await client.send(held)
    framed = bodiless or "content-length" in headers or "transfer-encoding" in headers
    return framed and headers.get("connection", "").lower() != "close"
