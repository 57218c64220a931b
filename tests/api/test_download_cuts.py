"""Downloads that are cut off, on either side: never a half that looks like a whole, never a line too many."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.api.ground import put_plugin
from tests.api.stage import Agent, add_agent
from tests.support.api import Api
from tests.support.processes import LogLine

SIZE = 20 * 2**20  # more than the kernel's buffers hold of a connection


class Pull:
    """One GET on a connection of its own."""

    def __init__(self, api: Api, agent: Agent, name: str, number: int) -> None:
        self.api = api
        self.path = f"{agent.plugins}/{name}/download"
        self.token = agent.token
        self.request_id = f"{name}.{number}"

    async def begin(self, **headers: str) -> None:
        address = urlsplit(self.api.url)
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, (address.hostname, address.port))
        self.reader, self.writer = await asyncio.open_connection(sock=connection, limit=2**16)
        sent = {
            "Host": "x",
            "Authorization": f"Bearer {self.token}",
            "X-Request-Id": self.request_id,
            **headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        self.writer.write(f"GET {self.path} HTTP/1.1\r\n{lines}\r\n".encode())

    async def head(self) -> dict[str, str]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.status = int(lines[0].split()[1])
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}

    def reset(self) -> None:
        """Hang up as a machine does that loses its network: with a RST."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    async def logged(self) -> list[LogLine]:
        """What the api had to say about it, once it is done with it."""
        await self.api.event("request.completed", request_id=self.request_id)
        return [line for line in self.api.lines if line.get("request_id") == self.request_id]


class Large:
    """A large plugin, and an external workspace that pulls it."""

    def __init__(self, api: Api, agent: Agent) -> None:
        self.api = api
        self.agent = agent
        self.name = f"large-{agent.id}"
        self.pulls = 0
        put_plugin(api.home / "plugins", self.name, {"noise": os.urandom(SIZE)})

    def pull(self) -> Pull:
        self.pulls += 1
        return Pull(self.api, self.agent, self.name, self.pulls)

    async def listed(self) -> bool:
        answer = await self.api.call("GET", self.agent.plugins, token=self.agent.token)
        return bool(answer.json)


@pytest.fixture
async def large(api: Api, database: asyncpg.Connection) -> AsyncIterator[Large]:
    here = api.position
    yield Large(api, await add_agent(database, runtime="external"))
    assert not api.events("request.failed", after=here)


async def test_a_cut_download_is_resumed_and_recorded_only_then(large: Large) -> None:
    first = large.pull()
    await first.begin()
    head = await first.head()
    got = await first.reader.readexactly(SIZE // 10)
    first.reset()
    assert [line["event"] for line in await first.logged()] == ["request.completed"]
    assert not await large.listed()

    second = large.pull()
    await second.begin(**{"Range": f"bytes={len(got)}-", "If-Range": head["etag"]})
    assert (await second.head())["etag"] == head["etag"]
    assert second.status == 206
    got += await second.reader.readexactly(int(head["content-length"]) - len(got))
    assert [line["event"] for line in await second.logged()] == ["plugin.pulled", "request.completed"]
    assert await large.listed()

    whole = await large.api.call("GET", second.path, token=large.agent.token)
    assert got == whole.body
    second.reset()


@pytest.mark.parametrize("wait", [0.0, 0.02, 0.1])
async def test_who_hangs_up_before_the_answer_is_no_error(large: Large, wait: float) -> None:
    pull = large.pull()
    await pull.begin()
    await asyncio.sleep(wait)
    pull.reset()
    (line,) = await pull.logged()
    assert (line["status"], line["level"]) == (200, "info")
    assert not await large.listed()


async def test_who_stops_reading_stops_nobody(large: Large) -> None:
    idle = [large.pull() for _ in range(20)]
    for pull in idle:
        await pull.begin()
    await asyncio.gather(*(pull.head() for pull in idle))
    whole = await large.api.call("GET", idle[0].path, token=large.agent.token)
    assert whole.status == 200
    for pull in idle:
        pull.reset()
    await asyncio.gather(*(pull.logged() for pull in idle))


async def test_an_archive_that_is_cut_on_the_disk_ends_the_connection(large: Large) -> None:
    pull = large.pull()
    await pull.begin()
    head = await pull.head()
    tag = head["etag"].strip('"')
    (archive,) = (large.api.home / "cache").glob(f"{tag}*.tar.gz")
    _cut(archive, SIZE // 2)
    body = await pull.reader.read(2 * SIZE)
    while piece := await _rest(pull.reader):
        body += piece
    assert len(body) < int(head["content-length"])
    assert [line["event"] for line in await pull.logged()] == ["request.completed"]
    assert not await large.listed()
    archive.unlink()
    again = await large.api.call("GET", pull.path, token=large.agent.token)
    assert (again.status, len(again.body)) == (200, int(head["content-length"]))


def _cut(archive: Path, size: int) -> None:
    with archive.open("r+b") as file:
        file.truncate(size)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """What still comes; nothing at the end, whichever way it is."""
    async with asyncio.timeout(20):
        try:
            return await reader.read(2**20)
        except ConnectionResetError:
            return b""
