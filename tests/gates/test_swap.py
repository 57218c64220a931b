"""The swap gate: whichever of the three outcomes the shared function has, every consumer follows it.

A consumer is a function that is given a daemon which answers every inspect in one way, and tells by what
its process did, and by nothing else, which outcome that was.
"""

from collections.abc import Awaitable, Callable
from typing import Literal

import pytest

from tests.gates.fleet import add, history, status, sweeping
from tests.gates.serving import serving
from tests.support.daemon import FakeDaemon, State
from tests.support.processes import run_command
from tests.support.wire import Answer

Outcome = Literal["running", "not running", "unknown"]

FORCED: dict[Outcome, Answer] = {
    "running": Answer(
        200, {"Id": "a" * 64, "State": {"Status": "running", "StartedAt": "2026-01-01T00:00:00Z"}}
    ),
    "not running": Answer(200, {"Id": "a" * 64, "State": {"Status": "exited", "ExitCode": 137}}),
    "unknown": Answer(500, {"message": "No such container: is what a sick daemon says too"}),
}


async def the_sweeper(daemon: FakeDaemon, database_url: str) -> Outcome:
    """The list makes a candidate of each of two rows; what becomes of them is the function's alone."""
    here = await add(database_url, status="online")
    away = await add(database_url, status="offline")
    daemon.containers = {f"ws-{here}": State("exited"), f"ws-{away}": State("running")}
    async with sweeping(database_url, daemon.host) as sweep:
        await sweep()
    assert {f"ws-{here}", f"ws-{away}"} == set(daemon.inspects)
    written = await history(database_url, here), await history(database_url, away)
    match await status(database_url, here), await status(database_url, away):
        case "online", "online":
            assert written == ([], [("online", "running")])
            return "running"
        case "offline", "offline":
            assert written == ([("offline", "exited")], [])
            return "not running"
        case seen:
            assert (seen, written) == (("online", "offline"), ([], []))
            return "unknown"


async def the_api(daemon: FakeDaemon, database_url: str) -> Outcome:
    """A workspace installs, uninstalls and lists; whether that is done or why not is the function's alone."""
    async with serving(database_url, daemon) as served:
        daemon.containers = {served.agent.container: State("restarting")}
        asked = [await served.install(), await served.uninstall(), await served.ask("GET")]
    assert {served.agent.container} == set(daemon.inspects)
    assert not daemon.lists
    acted_on = {
        exchange.path for exchange in daemon.requests if exchange.path.endswith(("/exec", "/archive"))
    }
    install, uninstall, listed = asked
    said = {event for one in asked for event in one.events if event.startswith("container.")}
    assert (listed.status, listed.json) == (200, [])
    seen = install.json.get("code", install.status), uninstall.json["code"]
    match seen, listed.answer.headers["X-Container-State"]:
        case (200, "plugin_not_installed"), "running":
            assert acted_on == {f"/containers/{'a' * 64}/{act}" for act in ("exec", "archive")}
            assert not said
            return "running"
        case ("container_not_running", "container_not_running"), "not_running":
            assert (install.status, uninstall.status, acted_on) == (503, 503, set())
            assert (install.json["state"], uninstall.json["state"]) == ("exited", "exited")
            assert said == {"container.not_running"}
            return "not running"
        case state:
            assert state == (("container_engine_unavailable", "container_engine_unavailable"), "unknown")
            assert (install.status, uninstall.status, acted_on) == (503, 503, set())
            assert {one.answer.headers["Retry-After"] for one in (install, uninstall)} == {"5"}
            assert said == {"container.check_transient"}
            return "unknown"


async def the_command(daemon: FakeDaemon, database_url: str) -> Outcome:
    """An operator asks why a workspace is what it is: nothing is written, each outcome has its own remark."""
    workspace = await add(database_url, status="online")
    daemon.containers = {f"ws-{workspace}": State("restarting")}
    environment = {"DATABASE_URL": database_url, "DOCKER_HOST": daemon.host, "HEALTHSWEEP_HOME": "/nowhere"}
    told = (await run_command("why", str(workspace), "--json", environment=environment)).json
    assert (daemon.inspects, daemon.lists) == ([f"ws-{workspace}"], 0)
    assert (await status(database_url, workspace), await history(database_url, workspace)) == ("online", [])
    match told["now"]["outcome"], [remark["code"] for remark in told["remarks"]]:
        case "running", []:
            return "running"
        case "not_running", ["shows_life_but_not_running"]:
            return "not running"
        case seen:
            assert seen == ("unknown", ["container_could_not_be_asked"])
            return "unknown"


CONSUMERS: dict[str, Callable[[FakeDaemon, str], Awaitable[Outcome]]] = {
    "sweeper": the_sweeper,
    "api": the_api,
    "command": the_command,
}
"""Every process that decides, or says, what a container's state is."""


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("outcome", FORCED)
@pytest.mark.parametrize("consumer", CONSUMERS.values(), ids=CONSUMERS)
async def test_every_consumer_follows_the_shared_function(
    consumer: Callable[[FakeDaemon, str], Awaitable[Outcome]],
    outcome: Outcome,
    fake_daemon: FakeDaemon,
    database_url: str,
) -> None:
    fake_daemon.answer("/containers/*/json", FORCED[outcome])
    assert await consumer(fake_daemon, database_url) == outcome
