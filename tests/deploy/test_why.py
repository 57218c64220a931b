"""What `healthsweep why` says of each situation: the three outcomes, and what does not fit together."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from deploy.handbook import Entry
from shared.database import migrate
from tests.deploy.asking_why import Asking
from tests.support.api import free_port
from tests.support.daemon import FakeDaemon, State
from tests.support.postgres import connected
from tests.support.processes import ServiceProcess
from tests.support.rows import add_row
from tests.support.wire import Answer

IMPATIENT = {"remote_liveness_stale_after": 0.001}
"""Silence counts from the start of PostgreSQL at the earliest, and that of the tests is young."""


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], database_url: str, fake_daemon: FakeDaemon) -> Asking:
    return Asking(capsys, database_url=database_url, docker_host=fake_daemon.host)


async def listening(rows: asyncpg.Connection, *, seen_s: float = 0, for_s: float = 86400) -> None:
    """The api has listened for so long, and was last seen that long ago."""
    await rows.execute(
        "INSERT INTO healthsweep.presence VALUES ('api', now() - $1 * interval '1 s',"
        " now() - $2 * interval '1 s', now() - $1 * interval '1 s')",
        for_s,
        seen_s,
    )


async def marked(
    rows: asyncpg.Connection,
    workspace: str,
    before: str,
    to: str,
    reason: str,
    *,
    exit_code: int | None = None,
) -> None:
    """What a sweep writes, the row itself aside."""
    await rows.execute(
        "INSERT INTO healthsweep.history"
        " (workspace_id, from_status, to_status, reason, exit_code, detected_by, cause_id)"
        " VALUES ($1, $2, $3, $4, $5, 'sweep', '9f2c41d07b3e')",
        UUID(workspace),
        before,
        to,
        reason,
        exit_code,
    )


def ago(**lasting: float) -> datetime:
    return datetime.now(UTC) - timedelta(**lasting)


# The three outcomes


async def test_all_is_well(ask: Asking, rows: asyncpg.Connection, fake_daemon: FakeDaemon) -> None:
    workspace = await add_row(rows, "offline", runtime="langgraph", told=("online", "exited"))
    await rows.execute("UPDATE healthsweep.history SET exit_code = 137, at = now() - interval '90 s'")
    await rows.execute("UPDATE public.workspaces SET status = 'online', last_heartbeat_at = now()")
    await marked(rows, workspace, "offline", "online", "running")
    fake_daemon.containers[f"ws-{workspace}"] = State("running")
    told = await ask(workspace)
    assert told.codes == []
    assert told.entry == Entry.AGENT_DEAD_INSIDE
    assert told.document["now"]["outcome"] == "running"
    assert told.document["observation"]["cause_id"] == "9f2c41d07b3e"
    assert told.lines["because"] == "its container ran, undisturbed; seen by the sweep 9f2c41d07b3e"
    assert told.lines["before"].startswith("offline for 1 min 30 s: its container had exited, exit code 137")
    assert told.lines["now"].startswith("running")
    assert fake_daemon.inspects == [f"ws-{workspace}"] * 2  # once for each of the two forms
    assert not fake_daemon.lists


async def test_the_container_stopped_just_now(
    ask: Asking, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    workspace = await add_row(rows, runtime="langgraph", told=("offline", "running"))
    stopped = State("exited", exit_code=137, finished_at="2026-01-02T03:04:05.6Z")
    fake_daemon.containers[f"ws-{workspace}"] = stopped
    told = await ask(workspace, sweep_interval=15.0, offline_grace=1.0)
    assert told.codes == ["shows_life_but_not_running"]
    assert told.entry == Entry.CONTAINER_STOPPED
    assert "the next sweep marks it offline, within 17 s if a sweeper runs" in told.lines["so"]
    assert told.document["now"] == {
        "outcome": "not_running",
        "container_name": f"ws-{workspace}",
        "reason": "exited",
        "exit_code": 137,
        "finished_at": "2026-01-02T03:04:05.6Z",
    }
    assert "exit code 137 (killed: out of memory, or by hand)" in told.lines["now"]
    assert "since 2026-01-02 03:04:05 UTC" in told.lines["now"]
    told = await ask(workspace, sweep_write=False)
    assert "SWEEP_WRITE is off" in told.lines["so"]


@pytest.mark.usefixtures("processes")
async def test_a_sweeper_that_has_just_begun_will_mark_it(
    ask: Asking, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    workspace = await add_row(rows, runtime="langgraph", told=("offline", "running"))
    fake_daemon.containers[f"ws-{workspace}"] = State("exited", exit_code=137)
    port = free_port()
    waits = {"METRICS_PORT": str(port), "DATABASE_URL": "postgresql:///x?host=/nowhere"}
    async with ServiceProcess("sweeper", {"DOCKER_HOST": fake_daemon.host, **waits}) as sweeper:
        await sweeper.event("database.unreachable")
        told = await ask(workspace, metrics_port=port)
    assert told.document["sweeper"]["state"] == "starting"
    assert "the next sweep marks it offline, within 17 s" in told.lines["so"]
    assert "not known" not in told.lines["so"]


@pytest.mark.parametrize("status", ["online", "offline", "paused"])
async def test_docker_could_not_answer(
    status: str, ask: Asking, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    workspace = await add_row(rows, status, runtime=None, told=("online", "exited"))
    told = await ask(workspace, docker_host="unix:///nowhere/docker.sock")
    assert told.codes == ["engine_could_not_answer"]
    assert told.entry == Entry.ENGINE_COULD_NOT_ANSWER
    assert told.document["now"]["outcome"] == "unknown"
    assert told.document["now"]["reason"] == "unreachable"
    assert "not known: Docker could not say (unreachable" in told.lines["now"]
    fake_daemon.answer("/containers/*/json", Answer(500, {"message": "No such container"}))
    told = await ask(workspace)
    assert told.codes == ["container_could_not_be_asked"]
    assert told.entry == Entry.STATE_UNKNOWN


async def test_one_sick_container_is_told_from_a_frozen_engine(
    ask: Asking, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    workspace = await add_row(rows, runtime="langgraph")
    fake_daemon.containers[f"ws-{workspace}"] = State("running", delay=5)
    told = await ask(workspace, engine_timeout=0.2)
    assert (told.codes, told.document["now"]["reason"]) == (["container_could_not_be_asked"], "timeout")


async def test_a_short_name_that_two_could_have_is_nobodys(
    ask: Asking, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    """A removed one counts, too: its container may still be there."""
    workspace = "c9b59298-7bab-419b-b251-e0e4efd1b272"
    fake_daemon.containers[f"ws-{workspace[:12]}"] = State("running")
    await add_row(rows, runtime="langgraph", id=UUID(workspace))
    assert (await ask(workspace)).document["now"]["outcome"] == "running"
    await add_row(rows, "removed", runtime="langgraph", id=UUID("c9b59298-7ba0-419b-b251-e0e4efd1b272"))
    assert (await ask(workspace)).document["now"]["outcome"] == "not_running"


# What heals an offline workspace


async def test_offline_for_its_container_and_down(
    ask: Asking, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    workspace = await add_row(rows, "offline", runtime="langgraph", told=("online", "missing"))
    told = await ask(workspace)
    assert (told.codes, told.entry) == (["container_down"], Entry.CONTAINER_DIED)
    assert "Docker has no container for it" in told.lines["so"]
    assert told.document["would_change"] == [
        "its container found running twice, 2 s apart, not restarted in between: online"
    ]
    fake_daemon.containers[f"ws-{workspace}"] = State("running")
    told = await ask(workspace)
    assert told.codes == ["offline_but_running"]
    assert "the next sweep marks it online, within 18 s" in told.lines["so"]


async def test_a_new_one_is_healed_by_either(ask: Asking, rows: asyncpg.Connection) -> None:
    workspace = await add_row(rows, "offline", runtime="langgraph", told=(None, "created"))
    assert len((await ask(workspace)).document["would_change"]) == 2


async def test_offline_for_another_reason_waits_for_a_heartbeat(
    ask: Asking, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    silent = await add_row(rows, "offline", runtime="langgraph", told=("online", "heartbeat_stale"))
    by_another = await add_row(rows, "offline", runtime="langgraph")
    for each, entry in ((silent, Entry.HEARTBEATS_STALE), (by_another, Entry.OTHER_WRITER)):
        fake_daemon.containers[f"ws-{each}"] = State("running")
        told = await ask(each)
        assert (told.codes, told.entry) == (["offline_until_heartbeat"], entry)
        assert told.document["would_change"] == [
            "a heartbeat of its agent: online, or degraded if it reports trouble"
        ]


# Nobody watches it, or nobody may write it


@pytest.mark.parametrize("status", ["provisioning", "failed", "paused", "hibernated", "awaiting_agent"])
async def test_statuses_that_are_left_alone(
    status: str, ask: Asking, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    workspace = await add_row(rows, status, runtime="langgraph")
    fake_daemon.containers[f"ws-{workspace}"] = State("running")
    told = await ask(workspace)
    assert (told.codes, told.entry) == (["left_alone"], Entry.NOT_WATCHED)
    assert told.document["since"] is None
    heartbeats_end_it = status in ("provisioning", "awaiting_agent")
    assert ("heartbeat" in told.lines["so"]) is heartbeats_end_it
    assert ("whoever wrote that takes it back" in told.lines["so"]) is not heartbeats_end_it
    if status == "paused":
        assert told.document["would_change"] == [
            f"`healthsweep workspace resume {workspace}`; nothing that is seen"
        ]


async def test_a_removed_one_whose_container_runs(
    ask: Asking, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    workspace = await add_row(rows, "removed", runtime="langgraph")
    fake_daemon.containers[f"ws-{workspace}"] = State("running")
    told = await ask(workspace)
    assert (told.codes, told.document["would_change"]) == (["removed"], ["nothing"])
    assert "its container still runs" in told.lines["so"]


async def test_an_unswept_runtime(ask: Asking, rows: asyncpg.Connection) -> None:
    told = await ask(await add_row(rows, runtime="mock"))
    assert (told.document["kind"], told.codes, told.entry) == ("unswept", ["unswept"], Entry.NOT_WATCHED)


async def test_a_row_of_another_host(
    capsys: pytest.CaptureFixture[str], platform_database_url: str, fake_daemon: FakeDaemon
) -> None:
    """On both kinds of a platform's database."""
    async with connected(platform_database_url) as rows:
        await migrate(rows)
        there = await add_row(rows, runtime="langgraph", instance_id="i-1")
        here = await add_row(rows, runtime="langgraph")
    ask = Asking(capsys, database_url=platform_database_url, docker_host=fake_daemon.host)
    told = await ask(there)
    assert (told.document["kind"], told.document["now"], told.codes) == ("elsewhere", None, ["elsewhere"])
    assert (await ask(here)).document["kind"] == "container"
    assert fake_daemon.inspects == [f"ws-{here}", f"ws-{here[:12]}"] * 2


# Heartbeats


async def test_external(ask: Asking, rows: asyncpg.Connection, fake_daemon: FakeDaemon) -> None:
    await listening(rows)
    workspace = await add_row(rows, "online", last_heartbeat_at=ago(seconds=7), told=("offline", "heartbeat"))
    told = await ask(workspace)
    assert (told.codes, told.entry) == (["external"], Entry.EXTERNAL_WORKSPACE)
    assert told.document["now"] is None
    assert 7 <= told.document["heartbeat"]["age_s"] < 60
    assert told.document["heartbeat"]["heard"] is True
    assert not fake_daemon.requests


async def test_external_and_silent(ask: Asking, rows: asyncpg.Connection) -> None:
    await listening(rows)
    workspace = await add_row(rows, "online", last_heartbeat_at=ago(seconds=500))
    told = await ask(workspace, **IMPATIENT)
    assert told.codes == ["shows_life_but_silent", "external"]
    assert (await ask(workspace, remote_liveness_stale_after=3600.0)).codes == ["external"]
    await rows.execute("UPDATE healthsweep.presence SET seen_at = now() - interval '1 minute'")
    told = await ask(workspace, **IMPATIENT)
    assert told.codes == ["nobody_listens", "external"]
    assert "nobody listens: the api was last seen" in told.lines["heartbeat"]
    await rows.execute(
        "UPDATE healthsweep.presence SET seen_at = now(), heard_since = now() + interval '1 h'"
    )
    assert (await ask(workspace, **IMPATIENT)).codes == ["external"]  # its silence begins anew
    await rows.execute("UPDATE public.workspaces SET status = 'offline'")
    told = await ask(workspace)
    assert (told.codes, told.entry) == (["silent", "external"], Entry.HEARTBEATS_STALE)


async def test_a_container_that_runs_with_a_dead_agent_inside(
    ask: Asking, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    await listening(rows)
    created_at = ago(days=1)
    beat = ago(seconds=7300)
    workspace = await add_row(rows, runtime="langgraph", created_at=created_at, last_heartbeat_at=beat)
    never = await add_row(rows, runtime="langgraph", created_at=created_at)
    for each in (workspace, never):
        fake_daemon.containers[f"ws-{each}"] = State("running")
    told = await ask(workspace, **IMPATIENT)
    assert (told.codes, told.entry) == (["no_heartbeat"], Entry.AGENT_DEAD_INSIDE)
    assert "last called 2 h 1 min ago" in told.lines["so"]
    assert (await ask(never, **IMPATIENT)).codes == []  # many agents never call, and are well


async def test_a_heartbeat_without_a_finite_time(ask: Asking, rows: asyncpg.Connection) -> None:
    workspace = await add_row(rows)
    await rows.execute("UPDATE public.workspaces SET last_heartbeat_at = 'infinity'")
    told = await ask(workspace)
    assert told.codes == ["heartbeat_without_time", "external"]
    assert told.document["heartbeat"]["age_s"] is None


async def test_degraded(ask: Asking, rows: asyncpg.Connection) -> None:
    workspace = await add_row(rows, "degraded", last_error_rate=0.75, last_sample_error="no\x1b[31m model")
    told = await ask(workspace)
    assert told.codes == ["degraded", "external"]
    assert told.lines["so"]
    assert "\x1b" not in told.text


# The same workspace, put off and on


async def test_a_crash_loop(ask: Asking, rows: asyncpg.Connection, fake_daemon: FakeDaemon) -> None:
    workspace = await add_row(rows, runtime="langgraph")
    fake_daemon.containers[f"ws-{workspace}"] = State("restarting", exit_code=1)
    assert (await ask(workspace)).codes == ["shows_life_but_not_running", "crash_loop"]
    await rows.execute("UPDATE public.workspaces SET status = 'offline'")
    assert (await ask(workspace)).codes == ["crash_loop"]
    await rows.execute("UPDATE public.workspaces SET status = 'online'")
    fake_daemon.containers[f"ws-{workspace}"] = State("running")
    for _ in range(3):
        await marked(rows, workspace, "online", "offline", "exited", exit_code=1)
        await marked(rows, workspace, "offline", "online", "running")
    told = await ask(workspace)
    assert (told.codes, told.entry) == (["crash_loop"], Entry.CRASH_LOOP)
    assert "3 times within the last hour" in told.lines["so"]


@pytest.mark.parametrize(
    ("reason", "exit_code"),
    [("exited", 0), ("exited", 130), ("exited", 143), ("exited", None), ("paused", None), ("missing", None)],
)
async def test_what_operators_do_is_no_crash_loop(
    reason: str, exit_code: int | None, ask: Asking, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    """As triage says it of the same."""
    workspace = await add_row(rows, runtime="langgraph")
    fake_daemon.containers[f"ws-{workspace}"] = State("running")
    for _ in range(3):
        await marked(rows, workspace, "online", "offline", reason, exit_code=exit_code)
        await marked(rows, workspace, "offline", "online", "running")
    assert (await ask(workspace)).codes == []


async def test_a_crash_loop_of_one_with_a_short_name(
    ask: Asking, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    workspace = await add_row(rows, "offline", runtime="langgraph", told=("online", "restarting"))
    fake_daemon.containers[f"ws-{workspace[:12]}"] = State("restarting", exit_code=1)
    assert f"logs ws-{workspace[:12]}`" in (await ask(workspace)).lines["so"]


async def test_another_program_wrote_it(
    ask: Asking, rows: asyncpg.Connection, fake_daemon: FakeDaemon
) -> None:
    workspace = await add_row(rows, "offline", runtime="langgraph", told=("online", "exited"))
    fake_daemon.containers[f"ws-{workspace}"] = State("running")
    await rows.execute("UPDATE public.workspaces SET status = 'online'")
    told = await ask(workspace)
    assert (told.codes, told.entry) == (["other_writer"], Entry.OTHER_WRITER)
    assert "it was not written here" in told.lines["status"]


async def test_a_runtime_that_cannot_be_read(
    capsys: pytest.CaptureFixture[str], rows: asyncpg.Connection, database_url: str, fake_daemon: FakeDaemon
) -> None:
    """What an install falls through on, external or not: SELECT on that one column was revoked."""
    workspace = await add_row(rows)
    columns = await rows.fetchval(
        "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute"
        " WHERE attrelid = 'public.workspaces'::regclass AND attnum > 0 AND attname <> 'runtime'"
    )
    role = f"reader_{workspace[:8]}"
    await rows.execute(
        f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA healthsweep TO {role};"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA healthsweep TO {role};"
        f"GRANT SELECT ({columns}) ON public.workspaces TO {role}"
    )
    try:
        url = database_url.replace("postgres@", f"{role}@")
        told = await Asking(capsys, database_url=url, docker_host=fake_daemon.host)(workspace)
    finally:
        await rows.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert told.entry == Entry.RUNTIME_NOT_LOOKED_UP
    assert told.codes == ["runtime_unreadable"]
    assert told.document["kind"] == "unreadable"
    assert told.document["now"]["outcome"] == "not_running"  # as the api sees it
    assert told.document["would_change"] == ["what that is depends on its runtime, which cannot be read"]
    assert told.document["runtime"] is None
    assert "if it is external" in told.text
