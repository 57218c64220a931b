"""The wire gate: what goes over Docker's socket is the one question, asked once, and nothing else.

Which names the question is about, and when the second one: tests/shared/test_running_names.
"""

from uuid import UUID

import pytest

from tests.gates.fleet import add, history, status, sweeping
from tests.gates.serving import serving
from tests.support.daemon import FakeDaemon, State
from tests.support.exchange import Request
from tests.support.processes import ServiceProcess


def names(workspace_id: UUID) -> tuple[str, str]:
    """The full name, and the one that older platform versions gave."""
    return f"ws-{workspace_id}", f"ws-{str(workspace_id)[:12]}"


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


@pytest.mark.usefixtures("processes")
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


@pytest.mark.usefixtures("processes")
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


@pytest.mark.usefixtures("processes")
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


@pytest.mark.usefixtures("processes")
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
