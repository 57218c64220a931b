"""Turns at a container: one at a time, one restart for a bunch, and nobody waits for ever."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from api import turns as module
from api.turns import Turns

HERE, THERE = uuid4(), uuid4()


class Play:
    """What happens, in its order."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.events: list[str] = []
        self.restarting = asyncio.Event()
        self.restarting.set()

    def restart(self, name: str) -> Callable[[], Awaitable[None]]:
        async def restart() -> None:
            self.events.append(f"restart by {name}")
            await self.restarting.wait()
            self.events.append("restarted")

        return restart

    async def change(
        self, name: str, where: UUID = HERE, *, until: asyncio.Event | None = None, restart: bool = True
    ) -> None:
        async with self.turns.turn(where) as turn:
            self.events.append(f"{name} begins")
            await (until.wait() if until else asyncio.sleep(0))
            self.events.append(f"{name} ends")
            if restart:
                turn.restart_with(self.restart(name))

    async def look(self) -> None:
        await self.turns.quiet(HERE)
        self.events.append("looked")


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def play() -> Play:
    return Play(Turns())


async def ended(play: Play) -> list[str]:
    """All that happened, when nothing more will, and nothing is kept."""
    await play.turns.__aexit__(None, None, None)
    assert play.turns._containers == {}
    assert play.turns._restarts == set()
    return play.events


async def test_they_come_one_at_a_time_in_their_order_and_the_last_one_restarts(play: Play) -> None:
    await asyncio.gather(*(play.change(name) for name in "abc"))
    expected = [f"{name} {what}" for name in "abc" for what in ("begins", "ends")]
    assert await ended(play) == [*expected, "restart by c", "restarted"]


async def test_containers_do_not_wait_for_each_other(play: Play) -> None:
    go = asyncio.Event()
    slow = asyncio.create_task(play.change("slow", until=go))
    await settled()
    await play.change("other", THERE)
    await settled()
    assert play.events == ["slow begins", "other begins", "other ends", "restart by other", "restarted"]
    go.set()
    await slow
    await ended(play)


async def test_without_an_order_nothing_restarts_and_one_order_is_enough(play: Play) -> None:
    await play.change("a", restart=False)
    await settled()
    assert play.events == ["a begins", "a ends"]
    await asyncio.gather(play.change("b"), play.change("c", restart=False))
    assert (await ended(play))[-2:] == ["restart by b", "restarted"]


async def test_who_comes_while_it_restarts_gets_a_restart_of_its_own(play: Play) -> None:
    play.restarting.clear()
    await play.change("a")
    await settled()
    late = asyncio.create_task(play.change("late"))
    await settled()
    assert play.events == ["a begins", "a ends", "restart by a"]
    play.restarting.set()
    await late
    assert (await ended(play))[3:] == [
        "restarted",
        "late begins",
        "late ends",
        "restart by late",
        "restarted",
    ]


async def test_a_restart_waits_for_those_who_are_announced(play: Play) -> None:
    go = asyncio.Event()

    async def announced(name: str) -> None:
        async with play.turns.announced(HERE):
            if name == "slow":
                await go.wait()
            await play.change(name)

    slow = asyncio.create_task(announced("slow"))
    await settled()
    await announced("fast")
    await settled()
    assert play.events == ["fast begins", "fast ends"]
    go.set()
    await slow
    assert (await ended(play))[2:] == ["slow begins", "slow ends", "restart by slow", "restarted"]


async def test_but_not_longer_than_its_patience(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    async with play.turns.announced(HERE):
        await play.change("a")
        async with asyncio.timeout(5):
            while "restarted" not in play.events:
                await asyncio.sleep(0.01)
    assert await ended(play) == ["a begins", "a ends", "restart by a", "restarted"]


async def test_an_announced_one_waits_for_the_turn_of_another(play: Play) -> None:
    go = asyncio.Event()
    slow = asyncio.create_task(play.change("slow", until=go))
    await settled()

    async def announced() -> None:
        async with play.turns.announced(HERE):
            play.events.append("let in")

    waiting = asyncio.create_task(announced())
    await settled()
    assert play.events == ["slow begins"]
    go.set()
    await asyncio.gather(slow, waiting)
    assert (await ended(play))[:3] == ["slow begins", "slow ends", "let in"]


async def test_a_look_waits_for_the_change_and_for_its_restart(play: Play) -> None:
    go = asyncio.Event()
    change = asyncio.create_task(play.change("a", until=go))
    await settled()
    look = asyncio.create_task(play.look())
    play.restarting.clear()
    go.set()
    await settled()
    assert play.events == ["a begins", "a ends", "restart by a"]
    play.restarting.set()
    await asyncio.gather(change, look)
    assert await ended(play) == ["a begins", "a ends", "restart by a", "restarted", "looked"]


async def test_a_look_at_a_container_at_rest_waits_for_nobody(play: Play) -> None:
    async with play.turns.announced(HERE), play.turns.turn(THERE):
        await play.look()
    assert await ended(play) == ["looked"]


async def test_patience_ends(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    async with play.turns.turn(HERE):
        await play.look()
        async with play.turns.announced(HERE):
            play.events.append("let in")
    assert await ended(play) == ["looked", "let in"]


async def test_who_is_cancelled_while_waiting_leaves_the_restart_to_the_others(play: Play) -> None:
    go = asyncio.Event()
    first = asyncio.create_task(play.change("first", until=go))
    await settled()
    impatient = [asyncio.create_task(play.change("impatient")), asyncio.create_task(play.look())]
    await settled()
    go.set()
    for task in impatient:
        task.cancel()
    await asyncio.gather(first, *impatient, return_exceptions=True)
    assert await ended(play) == ["first begins", "first ends", "restart by first", "restarted"]


async def test_a_change_that_fails_keeps_nobody_waiting_and_the_order_of_another(play: Play) -> None:
    async def fails() -> None:
        async with play.turns.turn(HERE):
            raise RuntimeError

    results = await asyncio.gather(
        play.change("a"), fails(), play.change("b", restart=False), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), RuntimeError, type(None)]
    assert (await ended(play))[-2:] == ["restart by a", "restarted"]


async def test_leaving_waits_for_the_restarts(play: Play) -> None:
    async with play.turns:
        await asyncio.gather(play.change("a"), play.change("b", THERE))
    assert play.events.count("restarted") == 2
