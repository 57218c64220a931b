"""The handbook's first entry, played: each flavour of the 503 on a real system, and the command names it."""

import asyncio
import sys
from collections.abc import Sequence
from uuid import UUID

import pytest

from deploy.handbook import Entry, where
from tests.handbook.terminal import terminal
from tests.situations import kept  # noqa: F401 - makes the situations known
from tests.situations.play import play
from tests.situations.scene import Ground, Scene, Workspace
from tests.support.processes import CHECKOUT
from tests.sweeper.service import statuses

FLAVOURS = (
    ("pushes_to_external", Entry.EXTERNAL_WORKSPACE),
    ("container_stopped_just_now", Entry.CONTAINER_STOPPED),
    ("engine_frozen", Entry.ENGINE_COULD_NOT_ANSWER),
    ("runtime_unreadable", Entry.RUNTIME_NOT_LOOKED_UP),
)


@pytest.mark.parametrize(("situation", "entry"), FLAVOURS)
async def test_a_flavour_is_produced_and_named(situation: str, entry: Entry, ground: Ground) -> None:
    looked: list[str] = []

    async def onlooker(scene: Scene, workspace: Workspace) -> None:
        """It shows online, and the install was refused, when somebody asks why."""
        (why,) = await terminal(scene, workspace).runs(['healthsweep why "$NAME"'])
        assert (await statuses(scene.url))[UUID(workspace.id)] == "online"
        assert scene.api.events("request.completed", workspace_id=workspace.id, method="POST")
        looked.append(why)

    log = await play(situation, ground, onlooker=onlooker)
    (why,) = looked
    assert f"{where(entry)}\n" in f"{why}\n"
    assert where(entry) in await triage(log)


async def triage(log: Sequence[str]) -> str:
    """What `healthsweep triage -` makes of it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.command", "triage", "-"),
        cwd=CHECKOUT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate("\n".join(log).encode())
    assert process.returncode == 0
    return said.decode()
