"""Plugins as a platform's server handles them, transcribed: what our api is measured against.

No checks, no digests, no authentication, no record: nothing is done here that could make it look slow.
"""

import asyncio
import io
import shutil
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from gzip import GzipFile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import aiohttp
from aiohttp import web

T = TypeVar("T")

_GO_DEFAULT_LEVEL = 6
_AT_ONCE = 64  # a server in Go has a goroutine for each request
_FRAME_HEAD = 8
_OWNER = "1000:1000"


class ReferencePlugins:
    """Lists, sends and installs plugins, over `session`, which is connected to a Docker Engine."""

    def __init__(self, *, session: aiohttp.ClientSession, registry: Path) -> None:
        self._session = session
        self._registry = registry
        self._threads = ThreadPoolExecutor(_AT_ONCE)

    async def installed(self, request: web.Request) -> web.Response:
        """One inspect; one exec for the names; then one exec for each manifest, in turn."""
        container = await self._running(request.match_info["id"])
        plugins = []
        for name in (await self._run(container, "ls", "-1", "/configs/plugins")).split():
            manifest = await self._run(container, "cat", f"/configs/plugins/{name}/plugin.yaml")
            plugins.append({"name": name, "manifest": manifest})
        return web.json_response(plugins)

    async def download(self, request: web.Request) -> web.Response:
        """A copy of the directory and an archive in memory, for every request."""
        archive = await self._in_thread(self._archive, request.match_info["name"])
        return web.Response(body=archive, content_type="application/gzip")

    async def install(self, request: web.Request) -> web.Response:
        """A copy of the directory, a tar in memory, its upload, and an exec that gives it to the agent."""
        name = (await request.json())["source"]
        packed = await self._in_thread(self._tar, name)
        container = await self._running(request.match_info["id"])
        async with self._session.put(
            f"/v1.41/containers/{container}/archive", params={"path": "/configs"}, data=packed
        ) as response:
            response.raise_for_status()
        await self._run(container, "chown", "-R", _OWNER, f"/configs/plugins/{name}")
        return web.json_response({"status": "installed", "plugin": name})

    async def _running(self, workspace_id: str) -> str:
        """The name of the workspace's container, which was inspected."""
        container = f"ws-{workspace_id}"
        async with self._session.get(f"/v1.41/containers/{container}/json") as response:
            if not (await response.json())["State"]["Running"]:
                raise web.HTTPServiceUnavailable
        return container

    async def _run(self, container: str, *command: str) -> str:
        """What a program in the container wrote."""
        body: dict[str, Any] = {"Cmd": command, "AttachStdout": True, "AttachStderr": True, "User": "0"}
        async with self._session.post(f"/v1.41/containers/{container}/exec", json=body) as response:
            response.raise_for_status()
            execution = (await response.json())["Id"]
        body = {"Detach": False, "Tty": False}
        async with self._session.post(f"/v1.41/exec/{execution}/start", json=body) as response:
            response.raise_for_status()
            return b"".join(_frames(await response.read())).decode()

    async def _in_thread(self, work: Callable[[str], T], name: str) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, name)

    def _archive(self, name: str) -> bytes:
        archive = io.BytesIO()
        with self._copy(name) as copy, GzipFile("", "wb", _GO_DEFAULT_LEVEL, archive) as packed:
            _pack(copy, "", packed)
        return archive.getvalue()

    def _tar(self, name: str) -> io.BytesIO:
        packed = io.BytesIO()
        with self._copy(name) as copy:
            _pack(copy, f"plugins/{name}/", packed)
        packed.seek(0)
        return packed

    @contextmanager
    def _copy(self, name: str) -> Iterator[Path]:
        with TemporaryDirectory() as staging:
            yield Path(shutil.copytree(self._registry / name, Path(staging) / name))


def _pack(root: Path, prefix: str, sink: io.BytesIO | GzipFile) -> None:
    with tarfile.TarFile(fileobj=sink, mode="w", copybufsize=2**20) as tar:
        for path in sorted(root.iterdir()):
            tar.add(path, f"{prefix}{path.name}")


def _frames(stream: bytes) -> Iterator[bytes]:
    """Docker's framing of an exec's two outputs: a stream's number, three zeros, a length, the bytes."""
    position = 0
    while position < len(stream):
        head = stream[position : position + _FRAME_HEAD]
        position += _FRAME_HEAD + int.from_bytes(head[4:])
        yield stream[position - int.from_bytes(head[4:]) : position]
