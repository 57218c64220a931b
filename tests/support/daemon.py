"""A Docker daemon that tells whatever a test wants, on a real unix socket.

    async with FakeDaemon(directory / "docker.sock") as daemon:
        daemon.containers["ws-0b6f3c1e-..."] = State("running")
        daemon.containers["ws-77aa1c2d-..."] = State("exited", exit_code=137, delay=5.0)
        ...
        assert (daemon.lists, daemon.inspects) == (1, ["ws-77aa1c2d-..."])

What is not scripted is answered as a healthy dockerd 20.10 would. How to script, `tests.support.wire`.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from tests.support.connection import Connection
from tests.support.exchange import Exchange, Request
from tests.support.wire import Answer, Reply, Slow, WireServer

_NEVER = "0001-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class State:
    """A container as dockerd would tell it. `status` is a word of `State.Status`, any word.

    An empty `id` is filled with one that belongs to the name. `delay` (seconds) makes this container
    slow to inspect, as a busy or sick one is; the list does not wait for it.
    """

    status: str = "running"
    id: str = ""
    started_at: str = "2026-01-01T00:00:00.123456789Z"
    finished_at: str = _NEVER
    exit_code: int = 0
    delay: float = 0.0


class FakeDaemon(WireServer):
    """See the module. `containers` maps names to states and may be changed at any time.

    `api_version` and `min_api_version` are what it speaks: other versions in a path are refused.
    """

    def __init__(self, path: Path, *, api_version: str = "1.41", min_api_version: str = "1.12") -> None:
        super().__init__(path)
        self.containers: dict[str, State] = {}
        self.api_version = api_version
        self.min_api_version = min_api_version

    async def respond(self, client: Connection, request: Request, exchange: Exchange) -> bool:
        return await self.play(client, request, exchange, self._healthy(request))

    def _healthy(self, request: Request) -> Reply:
        if request.version and (problem := self._version_problem(request.version)):
            return self._engine_answer(400, {"message": problem})
        reply: Reply = Answer(404, {"message": "page not found"})
        match request.method, request.path.split("/")[1:]:
            case "GET", ["version"]:
                reply = self._engine_answer(200, self._version())
            case "GET", ["containers", "json"]:
                reply = self._list(request)
            case "GET", ["containers", "", "json"]:
                reply = Answer(301, "", {"Location": "/containers/json"})
            case "GET", ["containers", container, "json"]:
                reply = self._inspect(unquote(container))
        return reply

    def _list(self, request: Request) -> Answer:
        if "filters" in request.query:
            raise NotImplementedError("FakeDaemon lists without filters")
        everything = request.query.get("all", "0").lower() in ("1", "true")
        entries = [
            _list_entry(name, state)
            for name, state in self.containers.items()
            if everything or state.status in ("running", "paused", "restarting")
        ]
        return Answer(200, b"[" + b",".join(entries) + b"]", self._headers())

    def _inspect(self, wanted: str) -> Reply:
        for name, state in self._candidates(wanted):
            answer = Answer(200, _inspect_body(name, state), self._headers())
            return Slow(state.delay, answer) if state.delay else answer
        return self._engine_answer(404, {"message": f"No such container: {wanted}"})

    def _candidates(self, wanted: str) -> list[tuple[str, State]]:
        """By name, else by id or the beginning of one: dockerd resolves any prefix."""
        if wanted in self.containers:
            return [(wanted, self.containers[wanted])]
        return [item for item in self.containers.items() if container_id(*item).startswith(wanted)]

    def _version_problem(self, version: str) -> str | None:
        if _numbers(version) > _numbers(self.api_version):
            return f"client version {version} is too new. Maximum supported API version is {self.api_version}"
        if _numbers(version) < _numbers(self.min_api_version):
            return (
                f"client version {version} is too old. Minimum supported API version is "
                f"{self.min_api_version}, please upgrade your client to a newer version"
            )
        return None

    def _version(self) -> dict[str, str]:
        return {
            "Version": "20.10.24",
            "ApiVersion": self.api_version,
            "MinAPIVersion": self.min_api_version,
            "Os": "linux",
            "Arch": "amd64",
        }

    def _engine_answer(self, status: int, body: object) -> Answer:
        return Answer(status, json.dumps(body).encode(), self._headers())

    def _headers(self) -> dict[str, str]:
        return {"Api-Version": self.api_version, "Content-Type": "application/json"}


def container_id(name: str, state: State) -> str:
    """The 64 characters by which `daemon.containers[name] = state` is known."""
    return state.id or hashlib.sha256(name.encode()).hexdigest()


@lru_cache(maxsize=4096)
def _list_entry(name: str, state: State) -> bytes:
    entry = {
        "Id": container_id(name, state),
        "Names": [f"/{name}"],
        "Image": "busybox",
        "ImageID": "sha256:" + "0" * 64,
        "Command": "sleep infinity",
        "Created": int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()),
        "Ports": [],
        "Labels": {},
        # dockerd 20.10 lists a dead container as one that is being removed
        "State": "removing" if state.status == "dead" else state.status,
        "Status": state.status.capitalize(),
        "HostConfig": {"NetworkMode": "none"},
        "NetworkSettings": {"Networks": {}},
        "Mounts": [],
    }
    return json.dumps(entry).encode()


@lru_cache(maxsize=4096)
def _inspect_body(name: str, state: State) -> bytes:
    running = state.status in ("running", "paused", "restarting")
    body = {
        "Id": container_id(name, state),
        "Created": "2026-01-01T00:00:00Z",
        "Path": "sleep",
        "Args": ["infinity"],
        "State": {
            "Status": state.status,
            "Running": running,  # dockerd's flags are not exclusive
            "Paused": state.status == "paused",
            "Restarting": state.status == "restarting",
            "OOMKilled": False,
            "Dead": state.status in ("dead", "removing"),
            "Pid": 4711 if running and state.status != "restarting" else 0,
            "ExitCode": state.exit_code,
            "Error": "",
            "StartedAt": _NEVER if state.status == "created" else state.started_at,
            "FinishedAt": state.finished_at,
        },
        "Image": "sha256:" + "0" * 64,
        "Name": f"/{name}",
        "RestartCount": 0,
        "Config": {"Image": "busybox", "Cmd": ["sleep", "infinity"], "Labels": {}},
    }
    return json.dumps(body).encode()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
