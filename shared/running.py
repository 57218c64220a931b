"""Is this workspace's container running? The one place that knows.

There are exactly three outcomes, and a caller must treat each differently:

    Running       Docker says `running`, so it would accept an exec now: exec, copy, mark online
    NotRunning    Docker answered, and the answer is definite: mark offline, answer 503
    EngineError   Docker could not tell: nothing is written, the 503 has a code of its own

This module exists because there were two copies of the question. One of them merged the last two
outcomes, and operators could no longer tell a dead container from a flaky daemon. So nothing else asks
Docker for a container's state, both the inspect and the list are read by the one classifier below, and
tests keep it that way.

`State.Status` decides and not `State.Running`: Docker's flags are not exclusive, and `Running` is true
for paused and for restarting containers, on which it refuses an exec with 409 (moby, container/state.go).

No I/O happens here: the engine is handed in.
"""

import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

from shared.errors import ContainerMissing, EngineError
from shared.ids import container_name, short_container_name

Reason = Literal["missing", "created", "exited", "paused", "restarting", "removing", "dead"]

_REASONS: Mapping[str, Reason] = {
    "created": "created",
    "exited": "exited",
    "paused": "paused",
    "restarting": "restarting",
    "removing": "removing",
    "dead": "dead",
    # Podman's words on its Docker-compatible socket
    "stopped": "exited",
    "stopping": "exited",
    "initialized": "created",
}
_ENDED = frozenset({"exited", "stopped", "dead", "restarting"})
_CONTAINER_ID = re.compile(r"[0-9A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Running:
    """It would accept an exec now. Act by `container_id`: another container can take the name meanwhile."""

    container_name: str
    container_id: str
    started_at: str | None = None


@dataclass(frozen=True, slots=True)
class NotRunning:
    """Definitely not running; `reason` is what operators triage by."""

    container_name: str
    reason: Reason
    exit_code: int | None = None
    finished_at: str | None = None


class StateEngine(Protocol):
    """The part of the engine that this module, and no other, uses."""

    def deadline(self) -> AbstractAsyncContextManager[None]: ...
    async def inspect_container_state(self, name: str) -> object: ...
    async def list_container_states(self) -> object: ...


async def container_state(
    engine: StateEngine, workspace_id: UUID, *, short_name_is_unique: bool
) -> Running | NotRunning:
    """Ask Docker whether this workspace's container runs: one inspect, two after a definite 404.

    The short name of older platform versions is asked for only where `short_name_is_unique`: no other
    row, removed ones included, shares the first 12 characters of the id. One deadline covers both.

    Raises EngineError when Docker could not tell. Do not turn that into a *no*, an empty list or None:
    the workspace may be fine.
    """
    names = _names(workspace_id, short_name_is_unique=short_name_is_unique)
    async with engine.deadline():
        for name in names:
            try:
                return _read(name, await engine.inspect_container_state(name))
            except ContainerMissing:
                continue
    return NotRunning(names[0], "missing")


def _names(workspace_id: UUID, *, short_name_is_unique: bool) -> list[str]:
    """The names to look for, in this order; the first one is what a missing container is called."""
    names = [container_name(workspace_id)]
    if short_name_is_unique:
        names.append(short_container_name(workspace_id))
    return names


def _read(name: str, answer: object) -> Running | NotRunning:
    if not isinstance(answer, dict) or not isinstance(state := answer.get("State"), dict):
        raise EngineError("malformed", "an inspect without a State object")
    return _classify(name, state.get("Status"), answer.get("Id"), state)


def _classify(
    name: str, status: object, container_id: object, state: Mapping[str, object]
) -> Running | NotRunning:
    """The one classifier, for inspect and list. Raises EngineError for any status that it does not know."""
    if status == "running":
        if not isinstance(container_id, str) or not _CONTAINER_ID.fullmatch(container_id):
            raise EngineError("malformed", "a running container without an id")
        return Running(name, container_id, _text(state.get("StartedAt")))
    if not isinstance(status, str) or status not in _REASONS:
        raise EngineError("malformed", f"unknown container state {status!r:.40}")
    exit_code = state.get("ExitCode") if status in _ENDED else None
    if not isinstance(exit_code, int) or not -(2**31) <= exit_code < 2**31:
        exit_code = None
    return NotRunning(name, _REASONS[status], exit_code, _text(state.get("FinishedAt")))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


class Snapshot:
    """What one list of all containers says: who is surely running, and who must be asked about.

    It only picks candidates: no status is ever written on its word alone.
    """

    def __init__(self, entries: Mapping[str, tuple[object, object]]) -> None:
        self._entries = entries

    def state(self, workspace_id: UUID, *, short_name_is_unique: bool) -> Running | NotRunning:
        """The answer that the list suggests. Raises EngineError as `container_state` would."""
        names = _names(workspace_id, short_name_is_unique=short_name_is_unique)
        for name in names:
            if name in self._entries:
                status, container_id = self._entries[name]
                return _classify(name, status, container_id, {})
        return NotRunning(names[0], "missing")


async def container_snapshot(engine: StateEngine) -> Snapshot:
    """One list of all containers. It takes no container's lock, so one sick container cannot slow it.

    Raises EngineError when Docker could not tell. An entry without a usable name is passed over:
    it cannot be a workspace's container.
    """
    answer = await engine.list_container_states()
    if not isinstance(answer, list) or not all(isinstance(entry, dict) for entry in answer):
        raise EngineError("malformed", "a container list that is no array of objects")
    return Snapshot(
        {
            name.removeprefix("/"): (entry.get("State"), entry.get("Id"))
            for entry in answer
            if isinstance(names := entry.get("Names"), list)
            for name in names
            if isinstance(name, str)
        }
    )
