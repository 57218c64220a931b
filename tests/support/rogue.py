"""Answers that a forge never gives when it is well: `forge.answer = hang`."""

import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.support.forge import Answer, Handler


def hang(handler: Handler) -> None:
    """Say nothing, and hold the line."""
    handler.forge.leaving.wait(60)


def refuse(status: int, **headers: str) -> Answer:
    """Another status, without a body."""

    def answer(handler: Handler) -> None:
        handler.begin(status, {"Content-Length": "0", **headers})

    return answer


def flood_refs(handler: Handler) -> None:
    """A gigabyte in the place of the list of refs."""
    handler.begin(200, {"Content-Type": "application/x-git-upload-pack-advertisement"})
    for _ in range(2**14):
        handler.send(b"\0" * 2**16)


def flood_pack(handler: Handler) -> None:
    """Behave until the pack is sent: it holds one blob of a gigabyte."""
    _protocol(handler, (b"\1" + chunk for chunk in _endless_blob()))


def chatter(handler: Handler) -> None:
    """Behave until the pack is sent, then report progress for ever."""
    _protocol(handler, (b"\2" + b"still counting objects, fatal: \n" * 1000 for _ in range(2**15)))


@dataclass
class Throttled:
    """As git does it, but a little at a time, until `enough` is set."""

    enough: threading.Event = field(default_factory=threading.Event)

    def __call__(self, handler: Handler) -> None:
        def packets() -> Iterator[bytes]:
            while not self.enough.wait(0.05):
                yield b"\2working\n"

        _protocol(handler, packets())


def _protocol(handler: Handler, packets: Iterator[bytes]) -> None:
    """The protocol's version 2 with one ref, and `packets` where the pack should be."""
    commit = b"1" * 40
    if handler.command == "GET":
        handler.begin(200, {"Content-Type": "application/x-git-upload-pack-advertisement"})
        lines = (b"version 2\n", b"ls-refs=unborn\n", b"fetch=shallow\n", b"object-format=sha1\n")
        handler.send(
            _packet(b"# service=git-upload-pack\n") + b"0000" + b"".join(map(_packet, lines)) + b"0000"
        )
        return
    body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    handler.begin(200, {"Content-Type": "application/x-git-upload-pack-result"})
    if b"command=ls-refs" in body:
        handler.send(_packet(commit + b" refs/tags/v1\n") + b"0000")
        return
    handler.send(_packet(b"shallow-info\n") + _packet(b"shallow " + commit + b"\n") + b"0001")
    handler.send(_packet(b"packfile\n"))
    for packet in packets:
        handler.send(_packet(packet))


def _packet(content: bytes) -> bytes:
    return b"%04x%s" % (len(content) + 4, content)


def _endless_blob() -> Iterator[bytes]:
    """A pack of one blob, 2^30 bytes that do not get smaller."""
    size = 2**30
    head, rest = bytearray([0x30 | size & 0xF]), size >> 4
    while rest:
        head[-1] |= 0x80
        head.append(rest & 0x7F)
        rest >>= 7
    yield b"PACK" + (2).to_bytes(4) + (1).to_bytes(4) + bytes(head)
    stored = zlib.compressobj(0)
    for _ in range(2**15):
        if chunk := stored.compress(bytes(2**15)):
            yield from (chunk[at : at + 65000] for at in range(0, len(chunk), 65000))
