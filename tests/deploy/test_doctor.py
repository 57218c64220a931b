"""`healthsweep doctor` finds each fault that is planted, and names the command that mends it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import pytest

from deploy.command.doctor.finding import Check, Finding, examine, ok
from deploy.command.doctor.on_services import judged
from deploy.command.doctor.on_settings import files_with_secrets, secrets_private
from deploy.command.doctor.units import listening
from deploy.command.doctor.verb import document, look
from deploy.handbook import Entry
from shared.settings import Settings
from tests.support.api import ADMIN_TOKEN, free_port
from tests.support.clock import FakeClock
from tests.support.daemon import FakeDaemon, State
from tests.support.engine import DockerEngine
from tests.support.postgres import PostgresServer
from tests.support.processes import CHECKOUT, ServiceProcess, service_environment
from tests.support.rows import add_row, add_token
from tests.support.wire import Answer


class Patient:
    """A host as its environment has it, in which a fault can be planted."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self.home = home
        self.environment = {
            "HEALTHSWEEP_HOME": str(home),
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "PORT": str(free_port()),
            "METRICS_PORT": "0",
            "ENGINE_TIMEOUT": "1",
            **environment,
        }

    async def finding(self, name: str, **environment: str) -> Finding:
        """What the check of this name finds."""
        found = {each.name: each.finding for each in await look({**self.environment, **environment})}
        return found[name]

    async def fails(self, name: str, says: str, mend: str, **environment: str) -> Finding:
        """It finds the fault, and names what mends it."""
        return await self._finds("failed", name, says, mend, **environment)

    async def warns(self, name: str, says: str, mend: str, **environment: str) -> Finding:
        """The same of what works all the same."""
        return await self._finds("warning", name, says, mend, **environment)

    async def _finds(self, mark: str, name: str, says: str, mend: str, **environment: str) -> Finding:
        finding = await self.finding(name, **environment)
        assert finding.mark == mark, finding
        assert says in finding.says
        assert mend in (finding.mend or "")
        return finding


@pytest.fixture
def patient(tmp_path: Path, database_url: str, fake_daemon: FakeDaemon) -> Patient:
    (tmp_path / "plugins").mkdir()
    return Patient(tmp_path, {"DATABASE_URL": database_url, "DOCKER_HOST": fake_daemon.host})


# Settings


async def test_a_setting_that_is_refused_hides_nothing_else(patient: Patient) -> None:
    finding = await patient.fails(
        "settings usable", "PORT must be a whole number", "correct PORT", PORT="many"
    )
    assert finding.entry == Entry.SETTINGS
    both = await patient.finding(
        "settings usable", PORT="many", SWEEP_INTERVAL="never", ADMIN_TOKEN_FILE="/no"
    )
    assert "PORT must" in both.says
    assert "SWEEP_INTERVAL must" in both.says
    assert (await patient.finding("database reachable", PORT="many")).mark == "ok"


async def test_a_secret_whose_file_is_not_there(patient: Patient) -> None:
    del patient.environment["ADMIN_TOKEN"]
    missing = {"ADMIN_TOKEN_FILE": "/nowhere/token"}
    await patient.fails("settings usable", "cannot be read (FileNotFoundError)", "ADMIN_TOKEN", **missing)


async def test_a_variable_that_is_misspelt(patient: Patient) -> None:
    await patient.warns(
        "settings known", "SWEEP_INTERVALL (is it SWEEP_INTERVAL?)", "rename", SWEEP_INTERVALL="5"
    )
    await patient.warns("settings known", "HEALTHSWEEP_PORT (is it PORT?)", "rename", HEALTHSWEEP_PORT="5")
    (patient.home / "env").write_text("WHAT_IS_THIS=1\n")
    await patient.warns("settings known", "WHAT_IS_THIS", "rename")
    (patient.home / "env").unlink()
    common = {"REPORT": "1", "LOG_FILE": "1", "DOCKER_CONTEXT": "x", "DATABASE_NAME": "x", "HOME": "/root"}
    assert (await patient.finding("settings known", **common)).mark == "ok"


async def test_secrets_that_others_may_read(patient: Patient) -> None:
    file = patient.home / "env"
    file.write_text("LOG_LEVEL=info\n")
    file.chmod(0o604)
    await patient.fails("secrets private", f"others may read {file}", f"chmod 600 {file}")
    file.chmod(0o600)
    assert (await patient.finding("secrets private")).mark == "ok"


async def test_secrets_of_a_host_that_others_may_read(tmp_path: Path) -> None:
    """As deploy/install lays them down, and an operator may have copied them since."""
    settings, credentials = tmp_path / "healthsweep.env", tmp_path / "credentials"
    credentials.mkdir(mode=0o755)
    files = files_with_secrets({}, tmp_path, settings=settings, credentials=credentials)
    assert (await secrets_private(files)).says == "no file has secrets"
    for file in (settings, credentials / "ADMIN_TOKEN", credentials / "DATABASE_URL"):
        file.write_text("x")
        file.chmod(0o640)
        assert (await secrets_private(files)).mark == "ok"
        file.chmod(0o644)
        found = await secrets_private(files)
        assert (found.mark, found.mend) == ("failed", f"chmod 600 {file}")
        file.chmod(0o600)


def test_where_the_secrets_of_a_host_lie() -> None:
    files = files_with_secrets({}, Path("/nowhere"))
    etc = Path("/etc/healthsweep")
    assert {etc / "healthsweep.env", etc / "credentials/ADMIN_TOKEN", etc / "credentials/DATABASE_URL"} <= {
        *files
    }


async def test_an_administrators_token_that_is_missing_or_short(patient: Patient) -> None:
    await patient.fails("ADMIN_TOKEN", "not set", "token_urlsafe", ADMIN_TOKEN="")
    await patient.warns("ADMIN_TOKEN", "5 characters", "token_urlsafe", ADMIN_TOKEN="12345")


# The database


async def test_a_wrong_database_url(patient: Patient, postgres: PostgresServer) -> None:
    nowhere = "postgresql://u:hunter2@/db?host=/nowhere"
    finding = await patient.fails(
        "database reachable", "No such file", "systemctl status postgresql", DATABASE_URL=nowhere
    )
    assert "hunter2" not in finding.says
    none = postgres.url.replace("/postgres?", "/none?")
    await patient.fails("database reachable", "3D000", "createdb", DATABASE_URL=none)
    needs = await patient.finding("database writable", DATABASE_URL=nowhere)
    assert (needs.mark, "it needs the database" in needs.says) == ("skipped", True)
    await patient.fails("database reachable", "not set", "deploy/install, on a host", DATABASE_URL="")


async def test_a_database_that_is_read_only(patient: Patient, rows: asyncpg.Connection) -> None:
    name = await rows.fetchval("SELECT current_database()")
    await rows.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    mend = "ALTER DATABASE name RESET default_transaction_read_only"
    await patient.fails("database writable", "read-only", mend)


async def test_a_database_in_which_our_role_may_not_write(
    patient: Patient, rows: asyncpg.Connection, database_url: str
) -> None:
    await rows.execute(
        "CREATE ROLE looker LOGIN; GRANT USAGE ON SCHEMA healthsweep TO looker;"
        "GRANT SELECT ON ALL TABLES IN SCHEMA healthsweep, public TO looker"
    )
    try:
        url = database_url.replace("postgres@", "looker@")
        says = "permission denied for table workspaces"
        await patient.fails("database writable", says, "GRANT SELECT, INSERT, UPDATE", DATABASE_URL=url)
    finally:
        await rows.execute("DROP OWNED BY looker; DROP ROLE looker")


async def test_an_old_schema(patient: Patient, rows: asyncpg.Connection) -> None:
    await rows.execute("DELETE FROM healthsweep.migrations WHERE name LIKE '0004%'")
    finding = await patient.fails("database migrated", "lacks 0004_plugin_records", "healthsweep migrate")
    assert finding.entry == Entry.SCHEMA
    await rows.execute("INSERT INTO healthsweep.migrations VALUES ('9999_later', '')")
    await patient.fails("database migrated", "which this version does not know", "upgrade healthsweep")


async def test_a_clock_that_differs(tmp_path: Path, patient: Patient, short_directory: Path) -> None:
    with FakeClock(short_directory) as clock:
        clock.jump(100)
        async with PostgresServer(short_directory / "late", environment=clock.environment) as server:
            says = "the database's clock is 100 s ahead"
            await patient.warns("database clock", says, "timedatectl set-ntp true", DATABASE_URL=server.url)


async def test_a_status_that_another_program_wrote(patient: Patient, rows: asyncpg.Connection) -> None:
    workspace = await add_row(rows, "offline", name="reviewer", told=("online", "exited"))
    await rows.execute("UPDATE public.workspaces SET status = 'online'")
    says = "another program wrote the status of 1: reviewer (offline, now online)"
    finding = await patient.warns("status writers", says, f"healthsweep why {workspace}")
    assert finding.entry == Entry.OTHER_WRITER


async def test_a_workspace_that_is_locked_out(patient: Patient, rows: asyncpg.Connection) -> None:
    await add_row(rows, name="never had one")
    workspace = await add_row(rows, name="reviewer")
    await add_token(rows, workspace, revoked=True)
    await patient.warns("tokens live", "1 without any live token: reviewer", f"token reset {workspace}")
    await add_token(rows, workspace)
    assert (await patient.finding("tokens live")).mark == "ok"


async def test_external_workspaces_while_nobody_outside_can_call(
    patient: Patient, rows: asyncpg.Connection
) -> None:
    await add_row(rows, runtime="external")
    await patient.warns(
        "agents can call", "1 external workspace, and the api listens at 127.0.0.1", "PUBLIC_URL"
    )
    proxied = await patient.finding("agents can call", PUBLIC_URL="https://sweep.example.org")
    assert proxied.mark == "ok"
    assert (await patient.finding("agents can call", BIND_ADDRESS="0.0.0.0")).mark == "ok"


# Docker


async def test_a_socket_that_is_missing(patient: Patient) -> None:
    host = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    await patient.fails(
        "engine socket", "/nowhere/docker.sock is not there", "systemctl start docker", **host
    )
    await patient.fails("engine answers", "unreachable", "systemctl status docker", **host)


async def test_a_socket_that_we_may_not_use(patient: Patient, fake_daemon: FakeDaemon) -> None:
    """As another user, who may read everything here and write nothing, and so may not connect."""
    fake_daemon.path.chmod(0o660)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    reach = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--"]
    ended = await asyncio.to_thread(
        subprocess.run,
        [*nobody, *reach, sys.executable, "-B", "-m", "deploy.command", "doctor", "--json"],
        cwd=CHECKOUT,
        env=service_environment({**patient.environment, "DATABASE_URL": "postgresql:///x?host=/nowhere"}),
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1, ended.stderr
    checks = {check["name"]: check for check in json.loads(ended.stdout)["checks"]}
    assert checks["engine socket"]["says"] == f"we may not use {fake_daemon.path}"
    assert "usermod --append --groups root" in checks["engine socket"]["mend"]
    assert "Permission denied" in checks["engine answers"]["says"]


@pytest.mark.usefixtures("processes")
async def test_an_engine_that_is_frozen(patient: Patient, docker: DockerEngine) -> None:
    docker.pause()
    try:
        says = "it could not answer: timeout"
        finding = await patient.fails("engine answers", says, "journalctl -u docker", DOCKER_HOST=docker.host)
        assert finding.mend is not None
        assert "systemctl restart" not in finding.mend  # every workspace would end by that
        assert "ends all containers, unless live-restore" in finding.mend
    finally:
        docker.resume()


async def test_an_engine_that_is_not_the_fleets(
    patient: Patient, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    first = await add_row(rows, runtime="langgraph")
    await patient.warns("fleet known", "0 of 1 ws-* known to this engine", "correct DOCKER_HOST")
    for _ in range(4):
        await add_row(rows, runtime="langgraph")
    finding = await patient.fails("fleet known", "0 of 5 ws-* known to this engine", "sweep --once --force")
    assert finding.entry == Entry.SWEEP_HELD
    fake_daemon.containers[f"ws-{first[:12]}"] = State("exited")
    finding = await patient.finding("fleet known")
    assert (finding.mark, finding.says) == ("ok", "1 of 5 ws-* known to this engine")
    assert not fake_daemon.inspects


async def test_an_engine_that_is_old(patient: Patient, fake_daemon: FakeDaemon) -> None:
    await patient.warns("engine safe", "20.10.24 has CVE-2026-41567, ", "--only-upgrade docker.io")
    new = {"Version": "29.5.1", "ApiVersion": "1.54", "MinAPIVersion": "1.40"}
    fake_daemon.answer("/version", Answer(200, new))
    assert (await patient.finding("engine safe")).mark == "ok"
    podman = {**new, "Version": "4.3.1", "Components": [{"Name": "Podman Engine"}]}
    fake_daemon.answer("/version", Answer(200, podman))
    assert (await patient.finding("engine safe")).mark == "skipped"
    fake_daemon.answer("/version", Answer(200, {**new, "ApiVersion": "1.24", "MinAPIVersion": "1.12"}))
    await patient.fails("engine answers", "version 1.24 of its interface", "apt-get install docker.io")


# Files


async def test_a_registry_that_is_missing_or_broken(patient: Patient) -> None:
    plugins = patient.home / "plugins"
    (plugins / "hello").mkdir()
    (plugins / "broken").mkdir()
    (plugins / "broken" / "plugin.yaml").write_text("[")
    (plugins / "no plugin").mkdir()
    says = "2 of 3 plugins cannot be used: broken (plugin.yaml: not YAML), no plugin (no name for a plugin)"
    await patient.warns("plugin registry", says, str(plugins))
    nowhere = patient.home / "nowhere"
    mend = f"mkdir --parents {nowhere}"
    await patient.fails("plugin registry", f"{nowhere} is not there", mend, PLUGINS_DIR=str(nowhere))


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


async def test_a_disk_that_is_full_or_will_be(patient: Patient, short_directory: Path) -> None:
    home = short_directory / "home"
    with small_disk(home, "1m"):
        (home / "ballast").write_bytes(b"x" * 1_000_000)
        says = f"0 MiB free for {home}, and an install may need 200 MiB"
        await patient.fails("disk", says, f"--max-depth=2 {home}", HEALTHSWEEP_HOME=str(home))
    home = short_directory / "larger"
    with small_disk(home, "400m"):
        (home / "cache").mkdir()
        (home / "cache" / "one").write_bytes(b"x" * 2**20)
        says = "the cache of downloads may grow by 2047 MiB"
        await patient.warns("disk", says, "CACHE_MAX_BYTES", HEALTHSWEEP_HOME=str(home))
        enough = await patient.finding("disk", HEALTHSWEEP_HOME=str(home), CACHE_MAX_BYTES="50MiB")
        assert enough.mark == "ok"


# Services


LATE = b"""\
healthsweep_sweep_completed_timestamp_seconds 1.0
healthsweep_sweep_interval_seconds 15.0
healthsweep_held 0.0
"""


@asynccontextmanager
async def somebody_else(answer: bytes) -> AsyncIterator[str]:
    """Another program at a port, which answers so."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield str(server.sockets[0].getsockname()[1])


@pytest.mark.parametrize("answer", [b"hello", b'{"status": "ok"}'])
async def test_a_port_that_another_program_has(answer: bytes, patient: Patient) -> None:
    async with somebody_else(answer) as port:
        who = f"(pid {os.getpid()})"
        finding = await patient.fails(
            "api", "another program answers", f"ss -ltnp 'sport = :{port}'", PORT=port
        )
        assert who in finding.says
        assert "systemctl edit healthsweep-api.socket" in (finding.mend or "")
        finding = await patient.fails("sweeper", "another program answers", "ss -ltnp", METRICS_PORT=port)
        assert who in finding.says


@pytest.mark.usefixtures("processes")
async def test_services_that_do_not_run(patient: Patient) -> None:
    await patient.fails("api", "nobody listens", "systemctl restart healthsweep-api")
    port = {"METRICS_PORT": str(free_port())}
    finding = await patient.fails(
        "sweeper", "nobody listens", "systemctl restart healthsweep-sweeper", **port
    )
    assert finding.entry == Entry.SWEEPER_STOPPED
    assert (await patient.finding("sweeper")).mark == "skipped"  # METRICS_PORT is 0
    async with ServiceProcess("sweeper", {**patient.environment, **port}) as sweeper:
        await sweeper.event("sweep.completed")
        assert (await patient.finding("sweeper", **port)).mark == "ok"
        await patient.warns("sweeper", "writes nothing", "SWEEP_WRITE=on", SWEEP_WRITE="off", **port)


@pytest.mark.usefixtures("processes")
async def test_a_sweeper_that_waits_for_its_database(patient: Patient) -> None:
    """To start it again would help nothing: what it waits for is said above it."""
    environment = {"METRICS_PORT": str(free_port()), "DATABASE_URL": "postgresql:///x?host=/nowhere"}
    async with ServiceProcess("sweeper", {**patient.environment, **environment}) as sweeper:
        await sweeper.event("database.unreachable")
        says, mend = "has not finished a sweep yet", "what is said above of the database"
        await patient.warns("sweeper", says, mend, **environment)


async def test_a_sweeper_that_is_late(patient: Patient, rows: asyncpg.Connection) -> None:
    """It is its own doing only if the database would let it work."""
    async with somebody_else(LATE) as port:
        says, mend = "it does not sweep", "systemctl restart healthsweep-sweeper"
        await patient.fails("sweeper", says, mend, METRICS_PORT=port)
        away = {"METRICS_PORT": port, "DATABASE_URL": "postgresql:///x?host=/nowhere"}
        finding = await patient.finding("sweeper", **away)
        assert (finding.mark, "it needs the database" in finding.says) == ("skipped", True)
        name = await rows.fetchval("SELECT current_database()")
        await rows.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        assert (await patient.finding("sweeper", METRICS_PORT=port)).mark == "skipped"


def systemd_shows(active: str, sub: str, restarts: int = 0) -> dict[str, str]:
    return {"ActiveState": active, "SubState": sub, "NRestarts": str(restarts)}


WELL = systemd_shows("active", "running")


@pytest.mark.parametrize(
    ("sweeper", "api", "mark", "says", "entry"),
    [
        (WELL, WELL, "ok", "both services", None),
        (systemd_shows("activating", "start"), WELL, "warning", "started, and waiting: healthsweep-sw", None),
        (WELL, systemd_shows("activating", "start"), "warning", "started, and waiting: healthsweep-ap", None),
        (systemd_shows("activating", "auto-restart", 9), WELL, "failed", "not active", Entry.SWEEPER_STOPPED),
        (WELL, systemd_shows("failed", "failed"), "failed", "not active", Entry.SETTINGS),
        (systemd_shows("active", "running", 2), WELL, "warning", "again", Entry.SWEEPER_STOPPED),
    ],
)
def test_services_as_systemd_shows_them(
    sweeper: Mapping[str, str], api: Mapping[str, str], mark: str, says: str, entry: Entry | None
) -> None:
    found = judged({"healthsweep-sweeper.service": sweeper, "healthsweep-api.service": api}, enabled=True)
    assert (found.mark, found.entry) == (mark, entry)
    assert says in found.says
    if "waiting" in says:
        assert "restart" not in (found.mend or "")


@pytest.mark.parametrize(
    ("listen", "address", "port"),
    [
        ("0.0.0.0:8081 (Stream)", "0.0.0.0", 8081),
        ("[::]:80 (Stream)", "::", 80),
        ("/run/api.sock (Stream)", "127.0.0.1", 8080),
        ("", "127.0.0.1", 8080),
    ],
)
def test_the_address_of_a_socket_unit(listen: str, address: str, port: int) -> None:
    settings = listening(Settings(), listen)
    assert (settings.bind_address, settings.port) == (address, port)


# Checks themselves


async def test_a_check_that_crashes_or_hangs_is_a_finding() -> None:
    async def crashes() -> Finding:
        raise ZeroDivisionError("on purpose")

    async def hangs() -> Finding:
        await asyncio.sleep(60)
        return ok("never")

    checks = [Check("crashes", crashes), Check("hangs", hangs)]
    crashed, hung = await examine(checks, deadline_s=0.05)
    assert (crashed.finding.mark, crashed.finding.entry) == ("failed", Entry.BUG)
    assert "ZeroDivisionError: on purpose" in crashed.finding.says
    assert (hung.finding.mark, hung.finding.says) == ("failed", "no answer within 0.05 s")
    assert document([crashed])["ok"] is False
