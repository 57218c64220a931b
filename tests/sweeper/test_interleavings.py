"""A pause, a removal or a restart that is written between look and write wins.

Nothing is left to chance but the draw: the daemon's answer is held back while somebody else writes, so
the order of things is the one that was drawn. Each time some bystanders stand in the same batch, and must
not suffer.
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

import asyncpg
import pytest

from shared.ids import container_name, short_container_name
from tests.support.daemon import State
from tests.support.exchange import Request
from tests.support.postgres import connected
from tests.sweeper.scene import Scene

Goal = Literal["offline", "online"]
Change = Literal["pause", "remove", "restart", "heartbeat", "there and back"]
Moment = Literal["list", "first look", "grace", "last look"]
End = Literal["committed", "open", "rolled back"]

RESULT: dict[tuple[Goal, Change], str] = {
    ("offline", "pause"): "paused",
    ("online", "pause"): "paused",
    ("offline", "remove"): "removed",
    ("online", "remove"): "removed",
    ("offline", "restart"): "provisioning",
    ("online", "restart"): "provisioning",
    ("offline", "heartbeat"): "degraded",
    ("online", "heartbeat"): "online",
    ("offline", "there and back"): "online",
    ("online", "there and back"): "offline",
}
"""What somebody else writes, at last."""


DOWN = {("offline", "online"), ("offline", "degraded")}
"""Goals and results with which the container is still down, and the row still one to be marked."""


@dataclass(frozen=True, slots=True)
class Interleaving:
    """What the sweeper is about to write, and what somebody else writes meanwhile.

    `end`: how far that has come when the sweeper writes; what is open is committed afterwards.
    """

    goal: Goal
    change: Change
    moment: Moment
    end: End
    word: str
    bystanders: int

    @classmethod
    def draw(cls, dice: random.Random) -> "Interleaving":
        goal: Goal = dice.choice(("offline", "online"))
        early: list[Moment] = ["list", "grace"] if goal == "offline" else ["list", "first look", "grace"]
        late: list[Moment] = ["last look"]
        moment = dice.choice(early + 6 * late)
        ends: tuple[End, ...] = ("committed", "open", "rolled back")
        return cls(
            goal=goal,
            change=dice.choice(get_args(Change)),
            moment=moment,
            end=dice.choice(ends) if moment == "last look" else "committed",
            word=dice.choice(("exited", "paused", "missing")) if goal == "offline" else "running",
            bystanders=dice.randrange(4),
        )

    @property
    def seen(self) -> str:
        return "online" if self.goal == "offline" else "offline"


async def _all_drawn(scene: Scene, number: int) -> None:
    seed = int(os.environ.get("INTERLEAVINGS_SEED", random.SystemRandom().randrange(10**9)))
    print(f"INTERLEAVINGS_SEED={seed}")
    dice = random.Random(seed)
    scene.restart(OFFLINE_GRACE="0.001", ONLINE_GRACE="0.001")
    for _ in range(number):
        interleaving = Interleaving.draw(dice)
        print(interleaving)
        async with connected(scene.url) as somebody:
            await _play(scene, somebody, interleaving)


async def test_fifty_interleavings(scene: Scene) -> None:
    await _all_drawn(scene, 50)


@pytest.mark.long
async def test_two_hundred_interleavings(scene: Scene) -> None:
    await _all_drawn(scene, 200)


async def _play(scene: Scene, somebody: asyncpg.Connection, this: Interleaving) -> None:
    scene.log.clear()
    before = ("offline", "exited") if this.goal == "online" else ("online", "running")
    container = None if this.word == "missing" else State(this.word)
    workspace, *bystanders = [
        await scene.add(before[0], reason=before[1], container=container) for _ in range(1 + this.bystanders)
    ]
    transaction = somebody.transaction()

    async def interfere() -> None:
        if this.end != "committed":
            await transaction.start()
        await _change(somebody, workspace, this)

    await _sweep(scene, workspace, this, interfere)
    assert {await scene.status(bystander) for bystander in bystanders} <= {this.goal}
    if this.moment == "last look":
        (line,) = scene.events("workspace.mark_skipped")
        assert (line["log_level"], line["workspace_id"]) == ("info", str(workspace))
        assert line["expected"] == this.seen
    else:
        assert not scene.events("workspace.mark_skipped")
    if this.end == "open":
        await transaction.commit()
    elif this.end == "rolled back":
        await transaction.rollback()
    assert await scene.status(workspace) == _first_result(this)
    await scene.sweep()
    assert await scene.status(workspace) == _result(this)
    for each in (workspace, *bystanders):
        await _is_consistent(scene, each)
    await scene.connection.execute("DELETE FROM public.workspaces")
    scene.daemon.containers.clear()


def _result(this: Interleaving) -> str:
    """What must stand in the end. A container that is down is seen again, whoever said `online` meanwhile."""
    if this.end == "rolled back":
        return this.goal
    written = RESULT[this.goal, this.change]
    return "offline" if (this.goal, written) in DOWN else written


def _first_result(this: Interleaving) -> str:
    """What must stand before there was another look."""
    if this.moment != "last look":
        return _result(this)  # the row was read again before the deciding look
    return this.seen if this.end == "rolled back" else RESULT[this.goal, this.change]


async def _sweep(
    scene: Scene, workspace: UUID, this: Interleaving, interfere: Callable[[], Awaitable[None]]
) -> None:
    """One sweep with its graces, and with `interfere` at its moment."""
    # dockerd's answer to the second name is the last one before a write
    name = short_container_name(workspace) if this.word == "missing" else container_name(workspace)
    path = "/containers/json" if this.moment == "list" else f"/containers/{name}/json"
    wanted = 2 if (this.goal, this.moment) == ("online", "last look") else 1
    asked = 0

    async def hold_the_answer(_: Request) -> None:
        nonlocal asked
        asked += 1
        if asked == wanted:
            await interfere()

    if this.moment != "grace":
        scene.daemon.answer(path, hold_the_answer)
    await scene.sweeper.sweep()
    if this.moment == "grace":
        await interfere()
    async with asyncio.timeout(2):  # nobody waits for a lock
        await scene.settle()
    assert asked >= wanted or this.moment == "grace"
    await scene.daemon.heal()


async def _change(connection: asyncpg.Connection, workspace: UUID, this: Interleaving) -> None:
    if this.change == "there and back":
        reasons = {"online": "heartbeat", "offline": "heartbeat_stale"}
        for status in (this.goal, this.seen):
            await connection.execute(_WRITE.format(to=status), workspace, reasons[status])
    else:
        to = RESULT[this.goal, this.change]
        await connection.execute(_WRITE.format(to=to), workspace, this.change)


# As any program of the product writes it, but without a look at what stood there before.
_WRITE = """
WITH before AS (
    SELECT id, status FROM public.workspaces WHERE id = $1 FOR UPDATE
), changed AS (
    UPDATE public.workspaces SET status = '{to}', updated_at = now() WHERE id = $1
)
INSERT INTO healthsweep.history (workspace_id, from_status, to_status, reason, detected_by)
SELECT id, status, '{to}', $2, 'somebody' FROM before
"""


async def _is_consistent(scene: Scene, workspace: UUID) -> None:
    """The history is a chain that ends at the status, and the log tells of the sweeper's rows only."""
    history = await scene.history(workspace)
    assert [row["from_status"] for row in history[1:]] == [row["to_status"] for row in history[:-1]]
    assert history[-1]["to_status"] == await scene.status(workspace)
    marked = [
        (line["previous"], line["reason"], line["sweep_id"])
        for event in ("workspace.marked_offline", "workspace.marked_online")
        for line in scene.events(event, workspace_id=str(workspace))
    ]
    ours = [row for row in history if row["detected_by"] == "sweep"]
    assert marked == [(row["from_status"], row["reason"], row["cause_id"]) for row in ours]
