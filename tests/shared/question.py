"""The one question, about one workspace, as the tests of `shared.running` and `shared.engine` ask it."""

from typing import Any
from uuid import UUID

import pytest

from shared.engine import Engine
from shared.errors import EngineError
from shared.running import NotRunning, Running, container_snapshot, container_state

WORKSPACE = UUID("0b6f3c1e-9a2d-4c5b-8e7f-a12233445566")
FULL = "ws-0b6f3c1e-9a2d-4c5b-8e7f-a12233445566"
SHORT = "ws-0b6f3c1e-9a2"
ID = "4f" * 32

INSPECT = "/containers/*/json"
"""The path of every inspect, for `FakeDaemon.answer`."""

JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html"}
NO_SUCH_CONTAINER = {"message": f"No such container: {FULL}"}


def inspected(state: object) -> dict[str, Any]:
    """The body of an inspect with this `State`."""
    return {"Id": ID, "Name": f"/{FULL}", "State": state}


async def answered(engine: Engine, *, unique: bool = False) -> Running | NotRunning:
    """The answer; the short name is asked for too where it is `unique`."""
    return await container_state(engine, WORKSPACE, short_name_is_unique=unique)


async def unknown(engine: Engine, *, unique: bool = False) -> EngineError:
    """The error by which the third outcome is told."""
    with pytest.raises(EngineError) as caught:
        await answered(engine, unique=unique)
    return caught.value


Outcome = tuple[str, ...]


def outcome(answer: Running | NotRunning | EngineError) -> Outcome:
    """What list and inspect can both tell; the list knows of no exit code and of no time."""
    match answer:
        case Running():
            return "running", answer.container_name, answer.container_id
        case NotRunning():
            return "not running", answer.container_name, answer.reason
        case EngineError():
            return "unknown", answer.reason


async def by_inspect(engine: Engine, workspace_id: UUID = WORKSPACE) -> Outcome:
    """What the one question says."""
    try:
        return outcome(await container_state(engine, workspace_id, short_name_is_unique=True))
    except EngineError as unknown:
        return outcome(unknown)


async def by_list(engine: Engine, workspace_id: UUID = WORKSPACE) -> Outcome:
    """What a list says."""
    try:
        snapshot = await container_snapshot(engine)
        return outcome(snapshot.state(workspace_id, short_name_is_unique=True))
    except EngineError as unknown:
        return outcome(unknown)
