"""A place to play with plugins: a real api, a real engine, a registry, and a look into containers.

async with playground(url, engine, directory) as ground:
workspace = await ground.workspace()                      a row with a running container
ground.plugin("p", {"plugin.yaml": b"...", "hooks/run": (b"#!/bin/sh", 0o755)})
answer = await ground.install(workspace, "p")
assert await workspace.tree("/configs/plugins/p") == ground.expected("p")
"""

import hashlib
import io
import shutil
import tarfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from deploy.images import FOREVER, IMAGE
from tests.support.api import Answer, Api, running_api
from tests.support.engine import Container, RealEngine

Content = bytes | tuple[bytes, int]
Seen = tuple[str, int, int, int, str]
"""What is found at a path: its kind, mode, owner, group and the sha256 of its content."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace with a container."""

    id: str
    container: Container

    async def run(self, *command: str) -> tuple[int, str]:
        """The exit code and the output of a program in the container, as root."""
        engine = self.container.engine
        body = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True, "Tty": True, "User": "0"}
        status, created = await engine.request("POST", f"/containers/{self.container.id}/exec", body)
        assert status == 201, created
        _, output = await engine.request(
            "POST", f"/exec/{created['Id']}/start", {"Detach": False, "Tty": True}
        )
        _, ended = await engine.request("GET", f"/exec/{created['Id']}/json")
        return ended["ExitCode"], str(output).replace("\r\n", "\n")

    async def write(self, path: str, content: bytes, *, mode: int = 0o644, owner: int = 1000) -> None:
        """Put a file into the container."""
        directory, _, name = path.rpartition("/")
        await self.run("mkdir", "-p", directory)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.uid, member.gid = len(content), mode, owner, owner
            tar.addfile(member, io.BytesIO(content))
        await self._archive("PUT", directory, packed.getvalue())

    async def files(self, path: str) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
        """Everything below `path`, by its relative path; empty if it is not there."""
        packed = await self._archive("GET", path)
        if packed is None:
            return {}
        found = {}
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            for member in tar:
                _, _, name = member.name.partition("/")
                content = tar.extractfile(member)
                found[name or "."] = (member, content.read() if content else b"")
        return found

    async def tree(self, path: str) -> dict[str, Seen]:
        """Like `files`, but what can be compared. Podman's archives name other owners: stat tells."""
        if not (files := await self.files(path)):
            return {}
        _, output = await self.run("find", path, "-exec", "stat", "-c", "%u %g %n", "{}", "+")
        owners = {}
        for line in output.splitlines():
            owner, group, found = line.split(" ", 2)
            owners[found.removeprefix(path).lstrip("/")] = (int(owner), int(group))
        return {
            name: _seen(member, content, *owners[name])
            for name, (member, content) in files.items()
            if name != "."
        }

    async def text(self, path: str) -> str:
        """The content of a file."""
        ((_, content),) = (await self.files(path)).values()
        return content.decode()

    async def _archive(self, method: str, path: str, body: bytes | None = None) -> bytes | None:
        engine = self.container.engine
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(engine.socket))) as session,
            session.request(
                method,
                f"http://engine/containers/{self.container.id}/archive",
                params={"path": path},
                data=body,
            ) as response,
        ):
            content = await response.read()
            assert response.status in (200, 404), content
            return content if response.status == 200 else None


def _seen(member: tarfile.TarInfo, content: bytes, owner: int, group: int) -> Seen:
    kind = "directory" if member.isdir() else "file" if member.isfile() else "other"
    digest = hashlib.sha256(content).hexdigest() if member.isfile() else ""
    return kind, member.mode & 0o7777, owner, group, digest


def put_plugin(registry: Path, name: str, files: Mapping[str, Content]) -> Path:
    """Put a plugin into a registry, in the place of an earlier one."""
    root = registry / name
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for path, content in files.items():
        data, mode = content if isinstance(content, tuple) else (content, 0o644)
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
        (root / path).chmod(mode)
    return root


@asynccontextmanager
async def playground(
    url: str, engine: RealEngine, directory: Path, **environment: str
) -> AsyncIterator["Ground"]:
    """A ground on the migrated database `url`. Afterwards nothing staged is left, here or in a container."""
    own = {"DATABASE_URL": url, "DOCKER_HOST": engine.host}
    async with running_api({**own, **environment}, directory) as api:
        ground = Ground(api, engine)
        yield ground
        await ground.check_nothing_is_left()
    await engine.remove_containers()


class Ground:
    """See the module."""

    def __init__(self, api: Api, engine: RealEngine) -> None:
        self.api = api
        self.engine = engine
        self.registry = api.home / "plugins"
        self.workspaces: list[Workspace] = []

    async def row(self, **body: Any) -> str:
        """A workspace without a container; its id."""
        answer = await self.call("POST", "/workspaces", {"name": "w", **body})
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    async def workspace(
        self,
        *,
        image: str = IMAGE,
        command: Sequence[str] = FOREVER,
        host: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> Workspace:
        """A workspace with a running container; `host` and `settings` go into its creation."""
        workspace_id = await self.row()
        name = f"ws-{workspace_id}"
        body = {
            "Image": image,
            "Cmd": list(command),
            "HostConfig": {"NetworkMode": "none", **(host or {})},
            **settings,
        }
        status, created = await self.engine.request("POST", f"/containers/create?name={name}", body)
        assert status == 201, created
        container = Container(self.engine, name, created["Id"])
        self.engine._containers.append(container)
        await container.start()
        self.workspaces.append(Workspace(workspace_id, container))
        return self.workspaces[-1]

    def plugin(self, name: str, files: Mapping[str, Content]) -> None:
        """Put a plugin into the registry, in the place of an earlier one."""
        put_plugin(self.registry, name, files)

    def expected(self, name: str) -> dict[str, Seen]:
        """What `Workspace.tree` must find after an install."""
        root = self.registry / name
        return {
            str(path.relative_to(root)): (
                "directory" if path.is_dir() else "file",
                path.stat().st_mode & 0o7777,
                1000,
                1000,
                hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            )
            for path in root.rglob("*")
        }

    async def install(self, workspace: Workspace | str, source: str, **body: Any) -> Answer:
        workspace_id = workspace if isinstance(workspace, str) else workspace.id
        return await self.call(
            "POST", f"/workspaces/{workspace_id}/plugins", {"source": source, "restart": False, **body}
        )

    async def uninstall(self, workspace: Workspace, name: str, *, restart: bool = False) -> Answer:
        path = f"/workspaces/{workspace.id}/plugins/{name}?restart={str(restart).lower()}"
        return await self.call("DELETE", path)

    async def installed(self, workspace: Workspace) -> list[dict[str, Any]]:
        answer = await self.call("GET", f"/workspaces/{workspace.id}/plugins")
        assert answer.status == 200, answer.body
        plugins: list[dict[str, Any]] = answer.json
        return plugins

    async def check_nothing_is_left(self) -> None:
        """Raise AssertionError for what was staged and is still there."""
        assert list((self.api.home / "staging").iterdir()) == []
        for workspace in self.workspaces:
            if await workspace.container.status() == "running":
                paths = ("/configs/plugins/.staging", "/configs/.CLAUDE.md.new")
                code, _ = await workspace.run("test", "-e", paths[0], "-o", "-e", paths[1])
                assert code != 0, f"something staged in {workspace.id}"

    async def call(self, method: str, path: str, body: object = None) -> Answer:
        return await self.api.call(method, path, body, token=self.api.admin_token)
