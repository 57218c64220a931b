"""Real engines: a dockerd of the tests' own (Podman: podman.py), and real containers in every real state.

async with DockerEngine(directory) as engine:              fixture: docker
    container = await engine.container(f"ws-{workspace_id}", state="paused")
    await container.unpause()
    await engine.kill()                                    SIGKILL; `await engine.start()` is next
    engine.pause(); engine.resume()                        SIGSTOP, SIGCONT
    with engine.stopped_shim(container): ...               exec into it hangs
    async with engine.sick(container): ...                 and its inspect hangs; no other's does
"""

import asyncio
import contextlib
import json
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Literal, Self

import aiohttp

from deploy.engine import PrivateEngine
from deploy.images import FOREVER, IMAGE, answers, import_image
from tests.support.remains import descendants, remove, set_immutable

ContainerState = Literal[
    "created", "running", "paused", "exited", "restarting", "removing", "dead", "missing"
]

EXIT_CODE = 3
"""What the containers in the states exited and restarting end with."""

_READY_SECONDS = 60.0
_STATE_SECONDS = 30.0
_MANY_FILES = 20_000  # enough for a removal of a second or two


class EngineRefused(Exception):
    """The engine answered a request of the rig's own with an error."""


class Container:
    """One container that the rig made. Every method asks the engine directly, past any proxy."""

    def __init__(self, engine: "RealEngine", name: str, container_id: str) -> None:
        self.engine = engine
        self.name = name
        self.id = container_id

    async def start(self) -> None:
        await self._do("POST", "/start")

    async def stop(self) -> None:
        await self._do("POST", "/stop?t=1")

    async def kill(self) -> None:
        await self._do("POST", "/kill")

    async def pause(self) -> None:
        await self._do("POST", "/pause")

    async def unpause(self) -> None:
        await self._do("POST", "/unpause")

    async def remove(self) -> None:
        """Whatever state it is in; it may be gone already, or going."""
        if await self.status() == "missing":
            return
        with contextlib.suppress(EngineRefused):
            await self.unpause()
        with contextlib.suppress(EngineRefused):
            await self.kill()  # Podman's removal waits ten seconds for a process that ignores SIGTERM
        if await self.status() != "removing":
            await self._do("DELETE", "?force=true&v=true")
        await self.becomes("missing")

    async def inspect(self) -> dict[str, Any]:
        """The whole answer of an inspect. Raises EngineRefused."""
        body: dict[str, Any] = await self._do("GET", "/json")
        return body

    async def status(self) -> str:
        """The word of `State.Status`; "missing" where there is none."""
        status, body = await self.engine.request("GET", f"/containers/{self.id}/json")
        return "missing" if status == 404 else str(body["State"]["Status"])

    async def becomes(self, word: str) -> None:
        """Wait until this is its status. Raises TimeoutError."""
        async with asyncio.timeout(_STATE_SECONDS):
            while await self.status() != word:
                await asyncio.sleep(0.02)

    async def _do(self, method: str, path: str) -> Any:
        status, body = await self.engine.request(method, f"/containers/{self.id}{path}")
        if status >= 400:
            raise EngineRefused(f"{method} {path} of {self.name}: {status} {body}")
        return body


class RealEngine(ABC):
    """What DockerEngine and PodmanEngine share.

    All of it lies below `directory`, whose path must be short. Leaving ends and removes it with everything
    in it, in whatever state it is.
    """

    states: ClassVar[tuple[ContainerState, ...]]
    """The states that `container` can bring a container into."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._process: asyncio.subprocess.Process | None = None
        self._containers: list[Container] = []

    @property
    @abstractmethod
    def host(self) -> str:
        """What goes into DOCKER_HOST."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The engine in the foreground."""

    @property
    def socket(self) -> Path:
        """For a RecordingProxy."""
        return Path(self.host.removeprefix("unix://"))

    @property
    def pid(self) -> int:
        """Of dockerd, or of Podman's service. Raises RuntimeError if there is none."""
        if self._process is None:
            raise RuntimeError("the engine does not run")
        return self._process.pid

    async def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.directory / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.command(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = asyncio.get_running_loop().time() + _READY_SECONDS
        while not await asyncio.to_thread(answers, self.host, seconds=1.0):
            if self._process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                log_end = (self.directory / "log").read_text()[-2000:]
                raise RuntimeError(f"{type(self).__name__} did not start: {log_end}")
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """SIGTERM, as a host does; the socket file goes with it. Running containers end, or live restored."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """SIGKILL; the socket file stays, and so do the containers' processes."""
        await self._end(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP: connections are accepted and nothing is ever answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    async def container(
        self,
        name: str,
        *,
        state: ContainerState = "running",
        command: Sequence[str] | None = None,
        restart: Literal["no", "always", "on-failure", "unless-stopped"] = "no",
        read_only: bool = False,
    ) -> Container:
        """A new container of busybox in that state; with `read_only` nothing can be written into it.

        `command` replaces what it runs, which by default lasts for ever and ends at once on SIGTERM.
        Left to themselves all states stay but two: `removing` for a second or two, and `restarting`, where
        the container ends with EXIT_CODE again and again (on Podman, which has no such word and no
        backoff, it reads `stopped` and `running` in turn).
        """
        if state not in self.states:
            raise ValueError(f"{type(self).__name__} cannot make a container {state}")
        if state in ("exited", "restarting"):
            command = command or ("/bin/sh", "-c", f"exit {EXIT_CODE}")
            restart = "always" if state == "restarting" else restart
        container = await self._create(name, command or FOREVER, restart, read_only=read_only)
        if state == "missing":
            await container.remove()
        elif state != "created":
            await container.start()
            await self._bring_into(container, state)
        return container

    async def remove_containers(self) -> None:
        """Remove every container that was made here."""
        containers, self._containers = self._containers, []
        some = asyncio.Semaphore(8)

        async def remove(container: Container) -> None:
            async with some:
                await container.remove()

        await asyncio.gather(*map(remove, containers))

    async def request(
        self, method: str, path: str, body: object = None, *, timeout: float = 60
    ) -> tuple[int, Any]:
        """One request to the engine itself: the answer's status, and its body, decoded if it is JSON."""
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self.socket))) as session,
            session.request(
                method, f"http://engine{path}", json=body, timeout=aiohttp.ClientTimeout(total=timeout)
            ) as response,
        ):
            text = await response.text()
            with contextlib.suppress(ValueError):
                return response.status, json.loads(text)
            return response.status, text

    async def __aenter__(self) -> Self:
        await self.start()
        await asyncio.to_thread(import_image, self.host)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.kill()
        await asyncio.to_thread(remove, self.directory)

    async def _create(self, name: str, command: Sequence[str], restart: str, *, read_only: bool) -> Container:
        settings = {
            "Image": IMAGE,
            "Cmd": list(command),
            "HostConfig": {
                "NetworkMode": "none",
                "ReadonlyRootfs": read_only,
                "RestartPolicy": {"Name": restart},
            },
        }
        status, body = await self.request("POST", f"/containers/create?name={name}", settings)
        if status != 201:
            raise EngineRefused(f"no container {name}: {status} {body}")
        container = Container(self, name, body["Id"])
        self._containers.append(container)
        return container

    async def _bring_into(self, container: Container, state: ContainerState) -> None:
        """From started to `state`."""
        match state:
            case "paused":
                await container.pause()
            case "exited":
                await until(container, lambda seen: seen["State"]["Status"] == "exited")

    async def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        children = descendants(process.pid)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        async with asyncio.timeout(_READY_SECONDS):
            await process.wait()
            # containerd dies with dockerd, and until it is also buried the next dockerd takes it for alive
            while any(Path(f"/proc/{pid}").exists() for pid in children):
                await asyncio.sleep(0.02)


class DockerEngine(RealEngine):
    """A dockerd of our own. With `live_restore` its containers outlive it."""

    states = ("created", "running", "paused", "exited", "restarting", "removing", "dead", "missing")

    def __init__(self, directory: Path, *, live_restore: bool = False) -> None:
        super().__init__(directory)
        self._engine = PrivateEngine(directory, arguments=("--live-restore",) if live_restore else ())
        self._engine.prepare()
        self._immutable: list[Path] = []

    @property
    def host(self) -> str:
        return self._engine.host

    def command(self) -> Sequence[str]:
        return self._engine.command

    async def remove_containers(self) -> None:
        for path in self._immutable:
            set_immutable(path, immutable=False)
        self._immutable.clear()
        await super().remove_containers()

    @contextlib.contextmanager
    def stopped_shim(self, container: Container) -> Iterator[None]:
        """SIGSTOP this container's shim: every exec into the container hangs, until leaving."""
        pid = _shim_of(container.id)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextlib.asynccontextmanager
    async def sick(self, container: Container) -> AsyncIterator[None]:
        """Make inspect hang for this container alone: its shim is stopped, and an exec waits for it.

        The exec holds the container's lock, as somebody's `docker exec` into a sick container does.
        """
        body = {"Cmd": ["true"], "AttachStdout": True}
        _, created = await self.request("POST", f"/containers/{container.id}/exec", body)
        with self.stopped_shim(container):
            start = self.request("POST", f"/exec/{created['Id']}/start", {"Detach": True}, timeout=600)
            executing = asyncio.create_task(start)
            try:
                await self._until_inspect_hangs(container)
                yield
            finally:
                executing.cancel()
                await asyncio.gather(executing, return_exceptions=True)

    async def _until_inspect_hangs(self, container: Container) -> None:
        for _ in range(20):
            try:
                await self.request("GET", f"/containers/{container.id}/json", timeout=0.5)
            except TimeoutError:
                return
            await asyncio.sleep(0.1)
        raise RuntimeError("the container does not get sick")

    async def _bring_into(self, container: Container, state: ContainerState) -> None:
        match state:
            case "restarting":
                # dockerd waits 100 ms before the first restart and twice as long before each next one
                await until(
                    container,
                    lambda seen: seen["RestartCount"] >= 4 and seen["State"]["Status"] == "restarting",
                )
            case "removing":
                layer = await self._own_layer(container)
                for number in range(_MANY_FILES):
                    (layer / str(number)).touch()
                self._removing = asyncio.create_task(container.remove())
                await until(container, lambda seen: seen["State"]["Status"] == "removing")
            case "dead":
                stubborn = await self._own_layer(container) / "stubborn"
                stubborn.touch()
                set_immutable(stubborn, immutable=True)
                self._immutable.append(stubborn)
                with contextlib.suppress(EngineRefused):
                    await container.remove()
                await until(container, lambda seen: seen["State"]["Status"] == "dead")
            case _:
                await super()._bring_into(container, state)

    async def _own_layer(self, container: Container) -> Path:
        """The directory of what the container has written; empty so far."""
        return Path((await container.inspect())["GraphDriver"]["Data"]["UpperDir"])


async def until(container: Container, is_so: Callable[[dict[str, Any]], bool]) -> None:
    """Wait until its inspect says so. Raises TimeoutError."""
    async with asyncio.timeout(_STATE_SECONDS):
        while not is_so(await container.inspect()):
            await asyncio.sleep(0.01)


def _shim_of(container_id: str) -> int:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            arguments = os.fsdecode(path.read_bytes()).split("\0")
            if "containerd-shim" in arguments[0] and container_id in arguments:
                return int(path.parent.name)
    raise RuntimeError(f"the container {container_id} has no shim: it does not run")
