"""The rig itself: a test that lies is worse than none."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tarfile
import time
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from uuid import UUID, uuid4

import aiodocker
import aiohttp
import asyncpg
import pytest

from shared.database import migrate
from tests.support.clock import FakeClock
from tests.support.daemon import FakeDaemon, State
from tests.support.engine import EXIT_CODE, Container, DockerEngine, PodmanEngine, RealEngine
from tests.support.history import HistoryWatch, read_history
from tests.support.judge import Transition, false_offlines
from tests.support.postgres import PostgresServer, connected
from tests.support.processes import CHECKOUT, ServiceProcess, run_command
from tests.support.proxy import RecordingProxy
from tests.support.remains import belonging, living
from tests.support.wire import FAULTS, Answer, Close, Exchange, Half, Hang, Reply, Request, Slow, WireServer

INSPECT = "/v1.41/containers/ws-a/json"
MISSING = Answer(404, {"message": "No such container: ws-a"})


async def get(server: WireServer, path: str, *, patience: float = 5.0) -> tuple[int, bytes]:
    """What a client of its own connection gets. Raises aiohttp.ClientError, TimeoutError."""
    timeout = aiohttp.ClientTimeout(total=patience)
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(server.path)), timeout=timeout) as session,
        session.get(f"http://engine{path}", allow_redirects=False) as response,
    ):
        return response.status, await response.read()


async def outcome(server: WireServer) -> str:
    """An inspect's outcome in a word or two."""
    try:
        status, body = await get(server, INSPECT, patience=1.0)
    except aiohttp.ClientPayloadError:
        return "cut off"
    except TimeoutError:
        return "timeout"
    except aiohttp.ClientError as problem:
        cause = problem.__cause__ or problem
        return type(problem if isinstance(problem, aiohttp.ServerDisconnectedError) else cause).__name__
    return f"{status} {body[:20].decode()}"


OUTCOMES = {
    "403": "403 Forbidden by a proxy",
    "404 page not found": '404 {"message": "page no',
    "404 html": "404 <html><h1>404 Not Fo",
    "502": "502 <html><h1>502 Bad Ga",
    "redirect": "302 ",
    "half a body": "cut off",
    "half a json": '200 {"State": {"Status":',
    "nothing": "ServerDisconnectedError",
    "reset": "ConnectionResetError",
    "hang": "timeout",
    "refused": "ConnectionRefusedError",
    "no socket": "FileNotFoundError",
}


class TestFakeDaemon:
    async def test_it_answers_as_a_healthy_dockerd_would(self, fake_daemon: FakeDaemon) -> None:
        fake_daemon.containers = {
            "ws-a": State("exited", exit_code=137),
            "ws-b": State(id="beef" * 16, started_at="2026-02-03T04:05:06Z"),
            "ws-c": State("dead"),
        }
        async with aiodocker.Docker(url=fake_daemon.host) as docker:
            everyone = await docker.containers.list(all=True)
            alive = await docker.containers.list()
            shown = [await docker.containers.container(name).show() for name in ("ws-a", "ws-b", "beef")]
            with pytest.raises(aiodocker.DockerError, match="No such container: ws-x"):
                await docker.containers.container("ws-x").show()
        assert {c["Names"][0]: c["State"] for c in everyone} == {
            "/ws-a": "exited",
            "/ws-b": "running",
            "/ws-c": "removing",
        }
        assert [c["Names"] for c in alive] == [["/ws-b"]]
        assert shown[0]["State"]["ExitCode"] == 137
        assert shown[1]["Id"] == shown[2]["Id"] == "beef" * 16
        assert shown[1]["State"]["StartedAt"] == "2026-02-03T04:05:06Z"
        assert fake_daemon.lists == 2
        assert fake_daemon.inspects == ["ws-a", "ws-b", "beef", "ws-x"]
        assert fake_daemon.requests[0].path == "/version"
        fake_daemon.reset()
        assert not fake_daemon.requests

    async def test_it_refuses_a_version_that_it_does_not_speak(self, short_directory: Path) -> None:
        async with FakeDaemon(short_directory / "s", api_version="1.52", min_api_version="1.44") as daemon:
            daemon.containers["ws-a"] = State()
            status, body = await get(daemon, INSPECT)
            assert status == 400
            assert b"too old. Minimum supported API version is 1.44" in body
            assert (await get(daemon, INSPECT.replace("1.41", "1.52")))[0] == 200

    async def test_a_thousand_containers_are_quick(self, fake_daemon: FakeDaemon) -> None:
        fake_daemon.containers = {f"ws-{number}": State() for number in range(1000)}
        async with aiodocker.Docker(url=fake_daemon.host) as docker:
            await docker.containers.list(all=True)
            began = time.perf_counter()
            assert len(await docker.containers.list(all=True)) == 1000
            assert time.perf_counter() - began < 0.5

    async def test_a_slow_container_slows_nobody_else(self, fake_daemon: FakeDaemon) -> None:
        fake_daemon.containers = {"ws-a": State(delay=60), "ws-b": State()}
        async with aiodocker.Docker(url=fake_daemon.host) as docker, asyncio.timeout(2):
            slow = asyncio.create_task(docker.containers.container("ws-a").show())
            await asyncio.gather(*(docker.containers.container("ws-b").show() for _ in range(50)))
            assert len(await docker.containers.list(all=True)) == 2
            assert not slow.done()
            slow.cancel()

    @pytest.mark.parametrize("fault", FAULTS)
    async def test_every_fault_shows_and_heals(self, fake_daemon: FakeDaemon, fault: str) -> None:
        fake_daemon.containers["ws-a"] = State()
        await fake_daemon.fault(fault)
        assert await outcome(fake_daemon) == OUTCOMES[fault]
        await fake_daemon.heal()
        assert (await outcome(fake_daemon)).startswith("200 ")

    async def test_a_script_is_for_some_requests_and_the_newest_wins(self, fake_daemon: FakeDaemon) -> None:
        fake_daemon.containers["ws-a"] = State()
        fake_daemon.answer("/containers/*/json", Answer(500, "older"))
        fake_daemon.answer("/containers/*/json", Slow(0.05, MISSING), times=1)
        assert [(await get(fake_daemon, INSPECT))[0] for _ in range(3)] == [404, 500, 500]
        assert (await get(fake_daemon, "/containers/json"))[0] == 200

    async def test_any_bytes_can_be_an_answer(self, fake_daemon: FakeDaemon) -> None:
        fake_daemon.answer("*", b"SSH-2.0-OpenSSH_9.2\r\n")
        with pytest.raises(aiohttp.ClientError):
            await get(fake_daemon, INSPECT)

    async def test_a_reused_connection_can_fail_too(self, fake_daemon: FakeDaemon) -> None:
        fake_daemon.containers["ws-a"] = State()
        connector = aiohttp.UnixConnector(str(fake_daemon.path))
        async with aiohttp.ClientSession("http://engine", connector=connector) as session:
            assert (await session.get(INSPECT)).status == 200
            fake_daemon.answer("*", Half())
            async with session.get(INSPECT) as response:
                with pytest.raises(aiohttp.ClientPayloadError):
                    await response.read()

    async def test_a_hook_runs_between_the_question_and_its_answer(self, fake_daemon: FakeDaemon) -> None:
        async def start(request: Request) -> Reply | None:
            fake_daemon.containers["ws-a"] = State("running")
            return None if request.path.endswith("/ws-a/json") else Close()

        fake_daemon.answer("/containers/*/json", start)
        status, body = await get(fake_daemon, INSPECT)
        assert (status, b'"running"' in body) == (200, True)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await get(fake_daemon, INSPECT.replace("ws-a", "ws-b"))

    async def test_a_broken_hook_is_not_swallowed(self, short_directory: Path) -> None:
        async def broken(_: Request) -> Reply | None:
            raise KeyError("broken")

        daemon = FakeDaemon(short_directory / "s")
        daemon.answer("*", broken)
        with pytest.raises(ExceptionGroup, match="hooks failed"):  # noqa: PT012 - it is raised by leaving
            async with daemon:
                with contextlib.suppress(aiohttp.ClientError):
                    await get(daemon, INSPECT)


class TestRecordingProxy:
    async def test_it_records_what_the_engine_answered(
        self, docker: DockerEngine, docker_proxy: RecordingProxy
    ) -> None:
        container = await docker.container("ws-a")
        before = datetime.now(UTC)
        async with aiodocker.Docker(url=docker_proxy.host) as client:
            await client.containers.list(all=True)
            await client.containers.container("ws-a").show()
            with pytest.raises(aiodocker.DockerError):
                await client.containers.container("ws-b").show()
        _, listed, shown, missing = docker_proxy.requests
        assert (listed.path, listed.query["all"], listed.status) == ("/containers/json", "1", 200)
        assert isinstance(listed.body, list)
        assert isinstance(shown.body, dict)
        assert shown.body["Id"] == container.id
        assert (missing.inspected, missing.status) == ("ws-b", 404)
        assert missing.body == {"message": "No such container: ws-b"}
        assert shown.answered_at is not None
        assert before < shown.at <= shown.answered_at <= missing.at
        assert (docker_proxy.lists, docker_proxy.inspects) == (1, ["ws-a", "ws-b"])

    async def test_uploads_downloads_and_execs_go_through(
        self, docker: DockerEngine, docker_proxy: RecordingProxy
    ) -> None:
        container = await docker.container("ws-a")
        content = os.urandom(3_000_000)
        tree = BytesIO()
        with tarfile.open(fileobj=tree, mode="w") as archive:
            member = tarfile.TarInfo("content")
            member.size = len(content)
            archive.addfile(member, BytesIO(content))
        async with aiodocker.Docker(url=docker_proxy.host) as client:
            there = client.containers.container(container.id)
            await there.put_archive("/tmp", tree.getvalue())  # type: ignore[no-untyped-call]
            with await there.get_archive("/tmp/content") as returned:
                file = returned.extractfile("content")
                assert file is not None
                assert file.read() == content
            execution = await there.exec(["wc", "-c", "/tmp/content"])
            async with execution.start() as stream:
                message = await stream.read_out()
            assert message is not None
            assert message.data.startswith(b"3000000")

    @pytest.mark.parametrize("fault", FAULTS)
    async def test_every_fault_shows_is_recorded_and_heals(
        self, docker: DockerEngine, docker_proxy: RecordingProxy, fault: str
    ) -> None:
        await docker.container("ws-a", state="created")
        await docker_proxy.fault(fault)
        assert await outcome(docker_proxy) == OUTCOMES[fault]
        word = OUTCOMES[fault].split()[0]
        assert {exchange.status for exchange in docker_proxy.requests} == (
            set() if fault in ("refused", "no socket") else {int(word) if word.isdigit() else None}
        )
        await docker_proxy.heal()
        assert (await outcome(docker_proxy)).startswith("200 ")

    async def test_a_hung_and_a_dead_engine_look_the_same_through_it(
        self, private_docker: DockerEngine, short_directory: Path
    ) -> None:
        async with RecordingProxy(private_docker.socket, short_directory / "p") as proxy:
            private_docker.pause()
            assert await outcome(proxy) == "timeout"
            private_docker.resume()
            assert (await outcome(proxy)).startswith("404 ")
            await private_docker.kill()
            assert await outcome(proxy) == "ServerDisconnectedError"
            assert [exchange.status for exchange in proxy.requests][:3] == [None, 404, None]


WORKSPACE = UUID("0b6f3c1e-9a2d-4f00-8000-000000000001")
FULL, SHORT = f"ws-{WORKSPACE}", "ws-0b6f3c1e-9a2"
ZERO = datetime(2026, 1, 1, tzinfo=UTC)


def said(name: str, second: float, status: int | None, body: object = None) -> Exchange:
    at = ZERO + timedelta(seconds=second)
    answered_at = None if status is None else at
    return Exchange("GET", f"/containers/{name}/json", {}, at, status, body, answered_at)


def shows(word: object) -> dict[str, object]:
    return {"State": {"Status": word, "Running": True}}


GONE = {"message": "No such container: x"}
PODMAN_GONE = {"cause": "no such container", "message": "no container with name or ID"}


class TestJudge:
    @pytest.mark.parametrize(
        ("wire", "is_false"),
        [
            pytest.param([], True, id="nothing was asked"),
            pytest.param([said(FULL, 5, 200, shows("exited"))], False, id="exited"),
            pytest.param([said(FULL, 5, 200, shows("paused"))], False, id="paused, and Running is true"),
            pytest.param([said(FULL, 5, 200, shows("running"))], True, id="running"),
            pytest.param([said(FULL, 5, 200, shows("sleeping"))], True, id="a word that nobody knows"),
            pytest.param([said(FULL, 5, 200, shows(None))], True, id="no word"),
            pytest.param([said(FULL, 5, 200, [])], True, id="no object"),
            pytest.param([said(FULL, 5, 200, b"<html>")], True, id="no JSON"),
            pytest.param([said(FULL, 5, None)], True, id="no answer"),
            pytest.param([said(FULL, 5, 404, GONE)], False, id="missing"),
            pytest.param([said(FULL, 5, 404, PODMAN_GONE)], False, id="missing, in Podman's words"),
            pytest.param([said(FULL, 5, 404, {"message": "page not found"})], True, id="another 404"),
            pytest.param([said(FULL, 5, 404, b"no such container")], True, id="a 404 that is no JSON"),
            pytest.param([said(FULL, 5, 500, GONE)], True, id="a 500 that says missing"),
            pytest.param([said(FULL, 5, 409, shows("exited"))], True, id="a 409 that says exited"),
            pytest.param([said(FULL, 1, 200, shows("exited"))], True, id="before the last online"),
            pytest.param([said(FULL, 9, 200, shows("exited"))], True, id="after the offline"),
            pytest.param([said("ws-other", 5, 404, GONE)], True, id="another container"),
            pytest.param(
                [said(FULL, 5, 404, GONE), said(SHORT, 6, 200, shows("running"))], True, id="short runs"
            ),
            pytest.param([said(FULL, 5, 404, GONE), said(SHORT, 6, None)], True, id="short unknown"),
            pytest.param([said(FULL, 5, 404, GONE), said(SHORT, 6, 404, GONE)], False, id="both missing"),
            pytest.param(
                [said(FULL, 5, 404, GONE), said(SHORT, 6, 200, shows("exited"))], False, id="short exited"
            ),
            pytest.param([said(SHORT, 6, 200, shows("exited"))], True, id="short alone"),
            pytest.param(
                [said(FULL, 4, 404, GONE), said(SHORT, 5, None), said(FULL, 6, 404, GONE)], False, id="again"
            ),
        ],
    )
    def test_an_offline_needs_a_definite_answer(self, wire: list[Exchange], is_false: bool) -> None:
        online = Transition(WORKSPACE, "offline", "online", ZERO + timedelta(seconds=2))
        offline = Transition(WORKSPACE, "online", "offline", ZERO + timedelta(seconds=8))
        assert false_offlines(wire, [offline, online]) == ([offline] if is_false else [])
        assert not false_offlines(wire, [offline, online], external=[WORKSPACE])

    @pytest.mark.parametrize("previous", [None, "paused", "provisioning"])
    def test_who_was_not_up_did_not_go_down(self, previous: str | None) -> None:
        assert not false_offlines([], [Transition(WORKSPACE, previous, "offline", ZERO)])


class TestHistory:
    async def test_it_is_read_and_watched(self, database_url: str) -> None:
        insert = """
        INSERT INTO healthsweep.history (workspace_id, from_status, to_status, reason, detected_by, at)
        VALUES ($1, 'online', 'offline', 'exited', 'sweep', $2)
        """
        hours_ago = datetime.now(UTC) - timedelta(hours=3)
        async with connected(database_url) as connection:
            await connection.execute(insert, WORKSPACE, hours_ago)
            assert await read_history(database_url) == [Transition(WORKSPACE, "online", "offline", hours_ago)]
            before = datetime.now(UTC)
            async with HistoryWatch(database_url) as history:
                await connection.execute(insert, WORKSPACE, hours_ago)
        assert [transition.at > before for transition in history.transitions] == [True]


async def state_in_list(engine: RealEngine, container: Container) -> str | None:
    _, entries = await engine.request("GET", "/containers/json?all=true")
    return next((entry["State"] for entry in entries if entry["Id"] == container.id), None)


class TestEngines:
    @pytest.mark.parametrize("state", DockerEngine.states)
    async def test_dockerd_in_every_state(self, docker: DockerEngine, state: str) -> None:
        container = await docker.container(f"ws-{uuid4()}", state=state)  # type: ignore[arg-type]
        assert (await container.status(), await state_in_list(docker, container)) == (
            state,
            {"dead": "removing", "missing": None}.get(state, state),
        )

    @pytest.mark.parametrize("state", PodmanEngine.states)
    async def test_podman_in_every_state(self, podman: PodmanEngine, state: str) -> None:
        container = await podman.container(f"ws-{uuid4()}", state=state)  # type: ignore[arg-type]
        if state == "restarting":
            seen = {await container.status() for _ in range(100)}
            assert "stopped" in seen
            assert seen <= {"stopped", "running", "initialized", "exited"}
        else:
            assert await container.status() == state
            assert await state_in_list(podman, container) == (None if state == "missing" else state)

    async def test_a_container_comes_and_goes(self, real_engine: RealEngine) -> None:
        container = await real_engine.container(f"ws-{uuid4()}")
        await container.kill()
        await wait_for(container, "exited")
        assert (await container.inspect())["State"]["ExitCode"] == 137
        await container.start()
        await container.pause()
        await container.unpause()
        await container.stop()
        await wait_for(container, "exited")
        assert (await container.inspect())["State"]["ExitCode"] == 0
        await container.remove()
        await container.remove()
        assert await container.status() == "missing"

    async def test_an_exit_code_is_known(self, docker: DockerEngine) -> None:
        container = await docker.container(f"ws-{uuid4()}", state="exited")
        assert (await container.inspect())["State"]["ExitCode"] == EXIT_CODE

    async def test_one_sick_container(self, docker: DockerEngine) -> None:
        ill, well = await docker.container("ws-ill"), await docker.container("ws-well")
        async with docker.sick(ill):
            assert await well.status() == "running"
            assert await state_in_list(docker, ill) == "running"
            with pytest.raises(TimeoutError):
                await docker.request("GET", f"/containers/{ill.id}/json", timeout=0.5)
        assert await ill.status() == "running"

    @pytest.mark.parametrize(("live_restore", "after"), [(False, "exited"), (True, "running")])
    async def test_a_killed_dockerd_comes_back(
        self, short_directory: Path, live_restore: bool, after: str
    ) -> None:
        async with DockerEngine(short_directory / "docker", live_restore=live_restore) as engine:
            container = await engine.container("ws-a")
            await engine.kill()
            assert engine.socket.exists()
            with pytest.raises(aiohttp.ClientConnectorError):
                await engine.request("GET", "/version")
            await engine.start()
            assert await container.status() == after
        assert not belonging(short_directory)


async def wait_for(container: Container, status: str) -> None:
    async with asyncio.timeout(10):
        while await container.status() != status:
            await asyncio.sleep(0.02)


class TestPostgres:
    @pytest.mark.parametrize("_turn", ["first", "second"])
    async def test_every_test_has_a_fresh_database(self, database_url: str, _turn: str) -> None:
        async with connected(database_url) as connection:
            assert await connection.fetchval("SELECT count(*) FROM public.workspaces") == 0
            assert await migrate(connection) == {}
            await connection.execute("INSERT INTO public.workspaces (name) VALUES ('left behind')")

    async def test_a_platform_database_can_be_migrated(self, platform_database_url: str) -> None:
        async with connected(platform_database_url) as connection:
            assert await connection.fetchval("SELECT to_regclass('healthsweep.history') IS NULL")
            assert await migrate(connection)
            await connection.execute(
                "INSERT INTO public.workspaces (name, instance_id, status) VALUES ('w', 'i-1', 'online')"
            )
            assert await connection.fetchval("SELECT count(*) FROM public.org_plugin_allowlist") == 0
            assert await connection.fetchval("SELECT version FROM public.schema_migrations") == 42

    async def test_a_server_of_ones_own_can_be_harmed(self, private_postgres: PostgresServer) -> None:
        url = await private_postgres.create_migrated_database()
        async with connected(url) as connection:
            await private_postgres.set_read_only(True)
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                await connection.execute("DELETE FROM public.workspaces")
            await private_postgres.set_read_only(False)
            await connection.execute("DELETE FROM public.workspaces")
            private_postgres.pause()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(connection.fetchval("SELECT 1")), 0.3)
            private_postgres.resume()
        for harm in (private_postgres.kill, private_postgres.stop):
            await harm()
            with pytest.raises(OSError, match=r"refused|No such file"):
                await asyncpg.connect(url, timeout=1)
            await private_postgres.start()
        async with connected(url) as connection:
            assert await migrate(connection) == {}

    async def test_its_clock_can_jump(self, short_directory: Path, fake_clock: FakeClock) -> None:
        server = PostgresServer(short_directory / "postgres", environment=fake_clock.environment)
        async with server, connected(server.url) as connection:
            for ahead in (0.0, 3600.0, -3600.0):
                fake_clock.jump(ahead)
                now: datetime = await connection.fetchval("SELECT clock_timestamp()")
                assert abs((now - datetime.now(UTC)).total_seconds() - ahead) < 1


class TestProcesses:
    async def test_the_sweeper_is_run_and_read(self, fake_daemon: FakeDaemon, database_url: str) -> None:
        environment = {
            "DATABASE_URL": database_url,
            "DOCKER_HOST": fake_daemon.host,
            "SWEEP_INTERVAL": "1",
        }
        async with connected(database_url) as connection:
            await connection.execute("INSERT INTO public.workspaces (id, name) VALUES ($1, 'w')", WORKSPACE)
        fake_daemon.containers[FULL] = State("exited")
        async with ServiceProcess("sweeper", environment) as sweeper:
            await sweeper.event("process.started", process="sweeper")
            await sweeper.sweeps(2)
            here = sweeper.position
            await fake_daemon.fault("refused")
            line = await sweeper.event("engine.unreachable", after=here)
            assert line["reason"] == "unreachable"
            assert not sweeper.events("engine.unreachable", reason="timeout")
            with pytest.raises(AssertionError, match=r"without never\.happens"):
                await sweeper.event("never.happens", timeout=0.1)
        assert sweeper.status == 0
        assert sweeper.noise == []
        assert fake_daemon.lists >= 2

    async def test_a_refusal_is_seen_at_once(self) -> None:
        async with ServiceProcess("sweeper", {"SWEEP_INTERVAL": "never"}) as sweeper:
            line = await sweeper.event("settings.invalid", timeout=10)
            assert line["variable"] == "SWEEP_INTERVAL"
            assert await sweeper.wait(timeout=10) == 78
            with pytest.raises(AssertionError, match="ended with 78 without"):
                await sweeper.event("process.started", timeout=60)

    async def test_a_command_is_run(self) -> None:
        ended = await run_command("config", "--json", environment={"SWEEP_INTERVAL": "7"})
        assert (ended.status, ended.stderr) == (0, "")
        assert "SWEEP_INTERVAL" in str(ended.json)

    async def test_a_process_is_told_the_time(self, fake_clock: FakeClock) -> None:
        fake_clock.jump(-86400)
        now = "import time; print(time.time())"
        ended = subprocess.run(
            [sys.executable, "-c", now],
            env=fake_clock.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert abs(float(ended.stdout) - (time.time() - 86400)) < 5


KILLED = """
import asyncio, sys
from tests.support.engine import DockerEngine
from tests.support.postgres import PostgresServer
from tests.support.remains import private_directory

async def main(directory):
    async with DockerEngine(directory / "docker") as engine, PostgresServer(directory / "postgres"):
        await engine.container("ws-a", state="paused")
        await engine.container("ws-b", state="dead")
        engine.pause()
        print(directory, flush=True)
        await asyncio.sleep(600)

with private_directory() as directory:
    asyncio.run(main(directory))
"""


async def test_nothing_outlives_tests_that_were_killed() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    directory = Path((await process.stdout.readline()).decode().strip())
    assert belonging(directory)
    os.kill(process.pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        while directory.exists() or belonging(directory):
            await asyncio.sleep(0.1)
        await process.wait()
    assert str(directory) not in Path("/proc/self/mountinfo").read_text()
    assert process.pid not in living()


async def test_a_hanging_client_does_not_keep_a_server_from_stopping(fake_daemon: FakeDaemon) -> None:
    fake_daemon.answer("*", Hang())
    waiting = asyncio.create_task(get(fake_daemon, INSPECT))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(1):
        await fake_daemon.stop(leave_file=True)
    with pytest.raises(aiohttp.ClientError):
        await waiting
    assert fake_daemon.path.is_socket()
