"""The wire gate: what goes over Docker's socket is the one question, asked once, and nothing else."""

from uuid import UUID, uuid4

import pytest

from shared.engine import Engine
from shared.errors import EngineError
from shared.running import NotRunning, Running, container_state
from tests.gates.fleet import add, history, status, sweeping
from tests.gates.serving import serving
from tests.support.daemon import FakeDaemon, State
from tests.support.processes import ServiceProcess
from tests.support.wire import FAULTS, NO_SOCKET, REFUSED, Answer, Reply, Request, redirect

STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead", "stopped", "something")
NO_SUCH_CONTAINER = Answer(404, {"message": "No such container: it"})
UNKNOWN = {
    "404 page not found": Answer(404, {"message": "page not found"}),
    "404 without a body": Answer(404),
    "400": Answer(400, {"message": "No such container: it"}),
    "409": Answer(409, {"message": "No such container: it"}),
    "500": Answer(500, {"message": "No such container: it"}),
    "redirect": redirect("/containers/other/json"),
    "no state": Answer(200, {"Id": "a" * 64}),
    "a list": Answer(200, []),
}


def names(workspace_id: UUID) -> tuple[str, str]:
    """The full name, and the one that older platform versions gave."""
    return f"ws-{workspace_id}", f"ws-{str(workspace_id)[:12]}"


async def ask(daemon: FakeDaemon, workspace_id: UUID, *, unique: bool = True) -> Running | NotRunning | str:
    async with Engine(daemon.host, timeout=0.5) as engine:
        try:
            return await container_state(engine, workspace_id, short_name_is_unique=unique)
        except EngineError as unknown:
            return unknown.reason


@pytest.mark.parametrize("word", STATES)
async def test_any_answer_about_the_full_name_ends_the_question(fake_daemon: FakeDaemon, word: str) -> None:
    full, short = names(workspace_id := uuid4())
    fake_daemon.containers = {full: State(word), short: State("running")}
    await ask(fake_daemon, workspace_id)
    assert fake_daemon.inspects == [full]


@pytest.mark.parametrize("reply", UNKNOWN.values(), ids=UNKNOWN)
async def test_an_unknown_about_the_full_name_ends_the_question(
    fake_daemon: FakeDaemon, reply: Reply
) -> None:
    full, short = names(workspace_id := uuid4())
    fake_daemon.containers = {short: State("running")}
    fake_daemon.answer(f"/containers/{full}/json", reply)
    assert isinstance(await ask(fake_daemon, workspace_id), str)
    assert fake_daemon.inspects == [full]


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in (REFUSED, NO_SOCKET)])
async def test_a_sick_engine_is_asked_no_second_name(fake_daemon: FakeDaemon, fault: str) -> None:
    await fake_daemon.fault(fault)
    workspace_id = uuid4()
    assert isinstance(await ask(fake_daemon, workspace_id), str)
    assert set(fake_daemon.inspects) <= {names(workspace_id)[0]}


async def test_the_short_name_is_asked_for_after_a_definite_404(fake_daemon: FakeDaemon) -> None:
    full, short = names(workspace_id := uuid4())
    assert await ask(fake_daemon, workspace_id) == NotRunning(full, "missing")
    assert fake_daemon.inspects == [full, short]


async def test_the_short_name_is_not_asked_for_where_two_could_have_it(fake_daemon: FakeDaemon) -> None:
    full, short = names(workspace_id := uuid4())
    fake_daemon.containers = {short: State("running")}
    assert await ask(fake_daemon, workspace_id, unique=False) == NotRunning(full, "missing")
    assert fake_daemon.inspects == [full]


@pytest.mark.parametrize("reply", UNKNOWN.values(), ids=UNKNOWN)
async def test_an_unknown_about_the_short_name_is_the_answer(fake_daemon: FakeDaemon, reply: Reply) -> None:
    full, short = names(workspace_id := uuid4())
    fake_daemon.answer(f"/containers/{short}/json", reply)
    assert isinstance(await ask(fake_daemon, workspace_id), str)
    assert fake_daemon.inspects == [full, short]


async def test_a_sweep_asks_about_nobody_whose_status_is_right(
    fake_daemon: FakeDaemon, database_url: str
) -> None:
    online = [await add(database_url, status="online") for _ in range(7)]
    offline = [await add(database_url, status="offline") for _ in range(3)]
    left_alone = [
        await add(database_url, status=word) for word in ("paused", "failed", "provisioning", "removed")
    ]
    fake_daemon.containers = {names(workspace_id)[0]: State() for workspace_id in online}
    fake_daemon.containers |= {
        names(workspace_id)[0]: State("exited") for workspace_id in offline + left_alone
    }
    async with sweeping(database_url, fake_daemon.host) as sweep:
        for _ in range(3):
            await sweep()
    assert (fake_daemon.lists, fake_daemon.inspects) == (3, [])


async def test_a_sweep_asks_by_the_shared_function_only(fake_daemon: FakeDaemon, database_url: str) -> None:
    """One inspect for who is dead, two for a missing one (both names), two looks for one that is back."""
    steady, exited, missing = [await add(database_url, status="online") for _ in range(3)]
    back = await add(database_url, status="offline")
    fake_daemon.containers = {
        names(steady)[0]: State(),
        names(exited)[0]: State("exited"),
        names(back)[0]: State(),
    }
    async with sweeping(database_url, fake_daemon.host) as sweep:
        report = await sweep()
    asked = [names(exited)[0], *names(missing), names(back)[0], names(back)[0]]
    assert sorted(fake_daemon.inspects) == sorted(asked)
    assert report.inspects == len(fake_daemon.inspects), "somebody inspects past the shared function"
    rest = [exchange.path for exchange in fake_daemon.requests if exchange.inspected is None]
    assert sorted(set(rest)) == ["/containers/json", "/version"]
    assert fake_daemon.lists == 1
    assert [await status(database_url, it) for it in (steady, exited, missing, back)] == [
        "online",
        "offline",
        "offline",
        "online",
    ]


async def test_external_workspaces_cause_no_request_at_all(
    fake_daemon: FakeDaemon, database_url: str
) -> None:
    """The process itself, over five sweeps: one of the rows is even found silent, and marked so."""
    kinds = ("external", "kimi", "kimi-cli")
    fresh = [await add(database_url, status="online", runtime=kind) for kind in kinds for _ in range(4)]
    offline = [await add(database_url, status="offline", runtime=kind) for kind in kinds]
    environment = {
        "DATABASE_URL": database_url,
        "DOCKER_HOST": fake_daemon.host,
        "SWEEP_INTERVAL": "1",
        "REMOTE_LIVENESS_STALE_AFTER": "3",
    }
    async with ServiceProcess("sweeper", environment) as sweeper:
        await sweeper.sweeps(5)
        assert not sweeper.noise
    assert not [(exchange.method, exchange.path) for exchange in fake_daemon.requests]
    assert len(sweeper.events("sweep.completed", checked=len(fresh + offline), inspects=0)) >= 5
    for workspace_id in fresh:
        assert await history(database_url, workspace_id) == [("offline", "heartbeat_stale")]


@pytest.mark.parametrize("short", [False, True], ids=["full name", "short name"])
async def test_the_api_asks_once_before_anything_is_fetched(
    short: bool, fake_daemon: FakeDaemon, database_url: str
) -> None:
    """And once more before it delivers what was fetched; it acts by the id, and asks nothing else."""
    staged: list[int] = []
    async with serving(database_url, fake_daemon) as served:

        async def look(_: Request) -> None:
            staged.append(len(served.staged))

        fake_daemon.answer("/containers/*/json", look)
        both = [served.agent.container, served.agent.short_container]
        fake_daemon.containers = {both[short]: State()}
        assert (await served.install()).status == 200
    asked = both if short else both[:1]
    assert fake_daemon.inspects == 2 * asked
    assert staged == [0] * len(asked) + [1] * len(asked)
    assert not fake_daemon.lists


@pytest.mark.parametrize("word", [None, "exited"])
async def test_the_api_fetches_nothing_for_a_container_that_does_not_run(
    word: str | None, fake_daemon: FakeDaemon, database_url: str
) -> None:
    async with serving(database_url, fake_daemon) as served:
        both = [served.agent.container, served.agent.short_container]
        fake_daemon.containers = {served.agent.container: State(word)} if word else {}
        asked = await served.ask("POST", body={"source": "local://not-there"})
    assert (asked.status, asked.json["code"]) == (503, "container_not_running"), "404 if it had looked there"
    assert fake_daemon.inspects == (both[:1] if word else both)
    assert not [exchange.path for exchange in fake_daemon.requests if exchange.path.endswith("/exec")]


async def test_the_api_asks_nothing_about_external_workspaces(
    fake_daemon: FakeDaemon, database_url: str
) -> None:
    async with serving(database_url, fake_daemon, runtime="external") as served:
        fake_daemon.containers = {served.agent.container: State()}
        assert [(await served.install()).status, (await served.uninstall()).status] == [422, 422]
        for path in ("", "/available", "/compatibility?runtime=langgraph"):
            assert (await served.ask("GET", path)).status == 200
        assert (await served.ask("GET", "/hello/download")).status == 200
        assert [plugin["name"] for plugin in (await served.ask("GET")).json] == ["hello"]
    assert not [(exchange.method, exchange.path) for exchange in fake_daemon.requests]
