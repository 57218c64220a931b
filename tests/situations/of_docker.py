"""Situations in which Docker is at fault, or the engine that is asked."""

import asyncio
import signal

from shared.ids import container_name
from tests.situations.play import situation
from tests.situations.scene import Scene, id_of
from tests.support.engine import DockerEngine


@situation(SWEEP_INTERVAL="2")
async def engine_frozen(scene: Scene) -> None:
    """Docker was away (timeout): 14 installs got 503 container_engine_unavailable, no workspace was marked.

    Docker's fault; the workspaces were fine all the time.
    """
    fleet = await scene.online("mail-triage", "billing-bot", "research-agent")
    here = scene.sweeper.position
    scene.engine.pause()
    await scene.sweeper.event("engine.unreachable", after=here)
    for together in (5, 5, 4):
        answers = await asyncio.gather(*(scene.install(fleet[number % 3]) for number in range(together)))
        assert {answer.json["code"] for answer in answers} == {"container_engine_unavailable"}
    await scene.look(fleet[0])
    await scene.sweeper.sweeps(1)
    scene.engine.resume()
    await scene.sweeper.event("engine.recovered", after=here)
    assert (await scene.install(fleet[0])).status == 200
    await scene.sweeper.sweeps(2)


@situation()
async def engine_killed(scene: Scene) -> None:
    """Docker was away (unreachable) and its containers ended with it: 3 installs got 503, then all three
    workspaces were marked offline (exited), until somebody started their containers.

    Docker's fault, also for the marks: they are true, and follow its return at once.
    """
    fleet = await scene.online("mail-triage", "billing-bot", "research-agent")
    here = scene.sweeper.position
    await scene.engine.kill()
    await scene.sweeper.event("engine.unreachable", after=here)
    for workspace in fleet:
        assert (await scene.install(workspace)).json["code"] == "container_engine_unavailable"
    await scene.look(fleet[0])
    await scene.engine.start()
    await scene.sweeper.event("engine.recovered", after=here, timeout=60)
    await scene.marked("offline", *fleet, after=here)
    for workspace in fleet:
        await workspace.running.start()
    await scene.marked("online", *fleet, after=here)
    await scene.sweeper.sweeps(1)


@situation(SWEEP_INTERVAL="2")
async def one_sick_container(scene: Scene) -> None:
    """Docker answers for all but report-writer (timeout): 3 installs into it got 503, its status stays
    offline though its container may run; an install into mail-triage went well.

    This container's fault (its shim hangs), not all of Docker's.
    """
    (healthy,) = await scene.online("mail-triage")
    name = "report-writer"
    container = await scene.engine.container(container_name(id_of(name)))
    async with scene.engine.sick(container):
        sick = await scene.row(name, container)
        await scene.sweeper.event("workspace.state_unknown", workspace_id=sick.id)
        for _ in range(3):
            assert (await scene.install(sick)).json["code"] == "container_engine_unavailable"
        assert (await scene.install(healthy)).status == 200
        await scene.look(sick)
        await scene.sweeper.sweeps(2)
    await scene.marked("online", sick, after=0)
    await scene.sweeper.sweeps(1)


@situation(ENGINE_TIMEOUT="3")
async def slow_sweeps(scene: Scene) -> None:
    """Docker answers, but slowly: lists take longer than the interval of a second, sweeps overrun it again
    and again, nothing is marked.

    Docker's fault, or the machine's; no workspace is affected.
    """
    (workspace, _) = await scene.online("mail-triage", "billing-bot")
    here = scene.sweeper.position
    while len(scene.sweeper.events("sweep.overran", after=here)) < 6:
        scene.engine.pause()
        await asyncio.sleep(2)  # a list that begins meanwhile is late, and still within its deadline
        scene.engine.resume()
        await asyncio.sleep(0.1)
    await scene.look(workspace)
    await scene.sweeper.sweeps(2)


@situation()
async def wrong_engine(scene: Scene) -> None:
    """The sweeper was started on an engine that has none of the 6 containers: the brake held, nothing was
    marked; it was started again with the right DOCKER_HOST.

    The operator's fault: DOCKER_HOST was wrong.
    """
    names = ("mail-triage", "billing-bot", "research-agent", "report-writer", "code-review", "on-call")
    fleet = await scene.online(*names)
    async with DockerEngine(scene.place / "other") as other:
        await _restart(scene, DOCKER_HOST=other.host)
        await scene.sweeper.event("sweep.held")
        await scene.look(fleet[0])
        await scene.sweeper.sweeps(3)
        await _restart(scene)
        await scene.sweeper.sweeps(2)
        assert not scene.sweeper.events("sweep.held")


@situation()
async def containers_all_gone(scene: Scene) -> None:
    """All 5 containers were removed: the brake held, then somebody forced it (sweep --once --force), and all
    five went offline (missing).

    Whoever removed the containers; the brake did what it should.
    """
    fleet = await scene.online("mail-triage", "billing-bot", "research-agent", "report-writer", "code-review")
    here = scene.sweeper.position
    scene.sweeper.send_signal(signal.SIGSTOP)  # so that no sweep sees some of them gone and others not
    await asyncio.gather(*(workspace.running.remove() for workspace in fleet))
    scene.sweeper.send_signal(signal.SIGCONT)
    await scene.sweeper.event("sweep.held", after=here)
    await scene.sweeper.sweeps(2)
    await scene.look(fleet[0])
    assert (await scene.command("sweep", "--once", "--force", "--json")).json["marked_offline"] == 5
    await scene.sweeper.event("sweep.released", after=here)
    await scene.sweeper.sweeps(1)


async def _restart(scene: Scene, **settings: str) -> None:
    scene.sweeper.send_signal(signal.SIGTERM)
    await scene.sweeper.wait()
    await scene.start_sweeper(**settings)
    await scene.sweeper.event("process.started")
