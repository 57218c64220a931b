"""Scenarios: what a proxy before the engine, or a dying engine, can answer; or not answer at all."""

from uuid import UUID

from tests.support.exchange import Request
from tests.support.processes import ServiceProcess
from tests.support.wire import NO_SOCKET, REFUSED, Answer
from tests.sweeper.side_by_side import SWEEPS, Ground, Play, scenario

_EMPTY = Answer(200, [], {"Api-Version": "1.41"})


@scenario
async def a_proxy_refuses(ground: Ground) -> None:
    await _suffer(ground, ["403", "404 page not found", "404 html"])


@scenario
async def a_proxy_answers_for_the_engine(ground: Ground) -> None:
    await _suffer(ground, ["502", "redirect", "half a json"])


@scenario
async def a_proxy_breaks_off(ground: Ground) -> None:
    await _suffer(ground, ["nothing", "half a body", "reset"])


@scenario
async def nobody_answers(ground: Ground) -> None:
    await _suffer(ground, ["hang", REFUSED, NO_SOCKET])


async def _suffer(ground: Ground, faults: list[str]) -> None:
    async with Play(ground.engine, await ground.database(), ground.place()) as play:
        workspaces = await play.fleet(3)
        async with play.sweeper() as sweeper:
            for fault in faults:
                await _all_is_sick(play, sweeper, fault)
                if fault not in (REFUSED, NO_SOCKET):
                    await _only_inspects_are_sick(play, sweeper, fault, workspaces)
            assert await play.transitions() == []
            await play.is_alive(sweeper, workspaces[0])
        assert not await play.false_offlines()


async def _all_is_sick(play: Play, sweeper: ServiceProcess, fault: str) -> None:
    await play.all_is_well(sweeper)
    here = sweeper.position
    await play.proxy.fault(fault)
    await sweeper.event("engine.unreachable", after=here)
    await sweeper.sweeps(SWEEPS)
    assert await play.all_online()
    await play.proxy.heal()
    await sweeper.event("engine.recovered", after=here)


async def _only_inspects_are_sick(
    play: Play, sweeper: ServiceProcess, fault: str, workspaces: list[UUID]
) -> None:
    """A list that has nobody makes everybody a candidate; so all hangs on what an inspect is taken for."""
    await play.all_is_well(sweeper)
    here = sweeper.position
    await play.proxy.fault(fault)
    play.proxy.answer("/version", _healthy)  # which is asked before a list, after each failure
    play.proxy.answer("/containers/json", _EMPTY)
    for workspace in workspaces:
        await sweeper.event("workspace.state_unknown", after=here, workspace_id=str(workspace))
    await sweeper.sweeps(SWEEPS)
    assert await play.all_online()
    await play.proxy.heal()


async def _healthy(_: Request) -> None:
    """A hook that changes nothing."""
