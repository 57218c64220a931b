"""What `healthsweep` does not do: one sentence, an exit status, nothing written, and never a traceback."""

import asyncio
import sys
from pathlib import Path

import asyncpg
import pytest

from deploy.home import write_environment
from tests.deploy.operator import NOBODY, Operator, Verb
from tests.support.postgres import PostgresServer, connected
from tests.support.processes import CHECKOUT, service_environment
from tests.support.rows import add_row

pytestmark = pytest.mark.usefixtures("processes")

VERBS: list[Verb] = [
    ("migrate",),
    ("sweep", "--once"),
    ("status",),
    ("why", "x"),
    ("workspace", "add", "x"),
    ("workspace", "list"),
    ("workspace", "pause", NOBODY),
    ("workspace", "resume", NOBODY),
    ("workspace", "remove", NOBODY),
    ("token", "issue", NOBODY),
    ("token", "list", NOBODY),
    ("token", "revoke", NOBODY, NOBODY),
    ("token", "reset", NOBODY),
    ("plugin", "forget", NOBODY, "hello"),
]
ABOUT_ONE = [verb for verb in VERBS if NOBODY in verb]


# 1: it cannot be done


async def test_a_database_that_is_away(tmp_path: Path) -> None:
    operator = Operator(tmp_path, DATABASE_URL="postgresql://u:hunter2@/db?host=/nowhere")
    sentence = "the database cannot be used: No such file or directory"
    assert await operator.all_refused(VERBS) == dict.fromkeys(VERBS, sentence)


async def test_a_database_that_was_never_migrated(tmp_path: Path, postgres: PostgresServer) -> None:
    operator = Operator(tmp_path, DATABASE_URL=await postgres.create_database())
    verbs = [*VERBS[1:], ("status", "--watch")]
    sentence = "the database has not been migrated: run `healthsweep migrate`"
    assert await operator.all_refused(verbs) == dict.fromkeys(verbs, sentence)


async def test_an_id_that_is_none(operator: Operator) -> None:
    verbs = [tuple(part.replace(NOBODY, "{" + NOBODY + "}") for part in verb) for verb in ABOUT_ONE]
    verbs.append(("workspace", "add", "x", "--id", "../info"))
    sentence = "not a workspace id: a UUID of 36 characters is wanted"
    assert await operator.all_refused(verbs) == dict.fromkeys(verbs, sentence)


async def test_an_id_that_nobody_has(operator: Operator) -> None:
    verbs = [verb for verb in ABOUT_ONE if verb[1] not in ("list", "revoke", "forget")]
    assert await operator.all_refused(verbs) == dict.fromkeys(verbs, f"there is no workspace {NOBODY}")
    assert await operator.json("token", "list", NOBODY) == []
    assert await operator.refused("token", "revoke", NOBODY, NOBODY) == "token not found or already revoked"
    sentence = await operator.refused("plugin", "forget", NOBODY, "hello")
    assert sentence == f"no plugin 'hello' is recorded for the workspace {NOBODY}"


@pytest.mark.parametrize(
    ("verb", "taken", "others"),
    [
        ("pause", "degraded or offline or online", ("provisioning", "failed", "paused", "removed")),
        ("resume", "paused", ("online", "offline", "hibernated", "removed")),
    ],
)
async def test_a_workspace_of_another_status(
    verb: str, taken: str, others: tuple[str, ...], operator: Operator, rows: asyncpg.Connection
) -> None:
    workspaces = {await add_row(rows, before): before for before in others}
    assert await operator.all_refused(("workspace", verb, workspace) for workspace in workspaces) == {
        ("workspace", verb, workspace): f"it is {before}; this takes one that is {taken}"
        for workspace, before in workspaces.items()
    }
    left = await rows.fetch("SELECT id, status FROM public.workspaces")
    assert {str(row["id"]): row["status"] for row in left} == workspaces
    assert await rows.fetchval("SELECT count(*) FROM healthsweep.history") == 0


async def test_an_id_that_is_taken(operator: Operator, rows: asyncpg.Connection) -> None:
    workspace = await add_row(rows, "online")
    sentence = await operator.refused("workspace", "add", "x", "--id", workspace)
    assert sentence == f"the workspace {workspace} exists already"


async def test_a_row_that_somebody_is_writing(operator: Operator, rows: asyncpg.Connection) -> None:
    workspace = await add_row(rows, "online")
    async with rows.transaction():
        await rows.execute("UPDATE public.workspaces SET last_heartbeat_at = now()")
        sentence = await operator.refused("workspace", "pause", workspace)
    assert sentence == "somebody changed it at the same moment: look, and try again"


async def make_read_only(database_url: str) -> None:
    async with connected(database_url) as connection:
        name = await connection.fetchval("SELECT current_database()")
        await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")


async def test_a_database_that_is_read_only(
    operator: Operator, rows: asyncpg.Connection, database_url: str
) -> None:
    workspace = await add_row(rows, "online")
    await make_read_only(database_url)
    assert len(await operator.json("status")) == 1
    verbs = [
        ("workspace", "add", "x"),
        ("workspace", "pause", workspace),
        ("workspace", "remove", workspace),
        ("sweep", "--once"),
    ]
    sentence = "the database cannot be used: it is read-only"
    assert await operator.all_refused(verbs) == dict.fromkeys(verbs, sentence)


async def test_a_read_only_database_is_not_migrated(tmp_path: Path, postgres: PostgresServer) -> None:
    url = await postgres.create_database()
    await make_read_only(url)
    sentence = await Operator(tmp_path, DATABASE_URL=url).refused("migrate")
    assert sentence == "the database is read-only: connect to the primary server"


GUEST = """
DO $$ BEGIN CREATE ROLE "a-guest" LOGIN; EXCEPTION WHEN duplicate_object THEN END $$
"""


async def test_a_role_that_may_not(operator: Operator, database_url: str, rows: asyncpg.Connection) -> None:
    await rows.execute(GUEST)
    url = database_url.replace("//postgres@", "//a-guest@")
    sentence = await operator.refused("status", DATABASE_URL=url)
    assert sentence.startswith('the role "a-guest" may not do this (permission denied for schema')
    await rows.execute(sentence.partition("run: ")[2])
    sentence = await operator.refused("status", DATABASE_URL=url)
    assert sentence == "the database cannot be used: permission denied for table workspaces"


async def test_a_database_that_a_newer_version_migrated(operator: Operator, rows: asyncpg.Connection) -> None:
    await rows.execute("INSERT INTO healthsweep.migrations VALUES ('9999_of_tomorrow', 'x')")
    verbs = [("migrate",), ("status",), ("status", "--watch"), ("sweep", "--once")]
    sentence = "the database has 9999_of_tomorrow, which this version does not know: upgrade it"
    assert await operator.all_refused(verbs, status=78) == dict.fromkeys(verbs, sentence)


# 2: it is said wrongly


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("dance",),
        ("sweep",),
        ("sweep", "--once", "--hard"),
        ("workspace",),
        ("workspace", "add"),
        ("workspace", "add", "x", "y"),
        ("workspace", "add", "x", "--status", "asleep"),
        ("workspace", "add", "\udcff"),
        ("workspace", "add", "x", "--runtime", "\udcff"),
        ("workspace", "pause"),
        ("token", "revoke", NOBODY),
        ("plugin", "forget", NOBODY),
        ("config", "--xml"),
    ],
    ids=lambda arguments: " ".join(arguments).encode(errors="replace").decode() or "nothing",
)
async def test_bad_usage(arguments: tuple[str, ...], tmp_path: Path) -> None:
    ended = await Operator(tmp_path).run(*arguments)
    assert (ended.status, ended.stdout) == (2, "")
    assert ended.stderr.startswith("usage: healthsweep")


async def test_help_needs_nothing(tmp_path: Path) -> None:
    for arguments in (("--version",), ("--help",), ("workspace", "add", "--help")):
        ended = await Operator(tmp_path, DATABASE_URL="nonsense").does(*arguments)
        assert "healthsweep" in ended.stdout


# 78: it is configured wrongly


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("DATABASE_URL", "mysql://u:hunter2@host/db"),
        ("DATABASE_URL", "postgresql://u:hunter2@host:port/db"),
        ("DATABASE_URL", "postgresql://u:hunter2@host/db?sslmode=perhaps"),
        ("HEALTHSWEEP_HOME", "relative"),
        ("SWEEP_INTERVAL", "0"),
        ("DOCKER_HOST", "ssh://host"),
        ("LOG_FORMAT", "xml"),
        ("ADMIN_TOKEN_FILE", "/nowhere"),
    ],
)
async def test_a_setting_is_refused_by_name(variable: str, text: str, operator: Operator) -> None:
    sentence = await operator.refused("status", status=78, **{variable: text})
    assert sentence.startswith(f"{variable} ")
    assert "hunter2" not in sentence


async def test_without_a_database_it_says_what_to_set(tmp_path: Path) -> None:
    assert (await Operator(tmp_path).refused("status", status=78)).startswith("DATABASE_URL is not set")


# The environment of the product that runs on this home


async def test_where_the_environment_is_silent_the_home_speaks(tmp_path: Path, database_url: str) -> None:
    told = {"DATABASE_URL": database_url, "PORT": "8081", "ADMIN_TOKEN": "it's a $ecret"}
    write_environment(tmp_path, told)
    operator = Operator(tmp_path)
    assert await operator.json("status") == []
    assert await operator.json("status", DATABASE_URL="") == []
    shown = await operator.json("config", PORT="9000")
    assert (shown["DATABASE_URL"], shown["ADMIN_TOKEN"], shown["PORT"]) == ("(set)", "(set)", 9000)
    away = await operator.refused("status", DATABASE_URL="postgresql:///db?host=/nowhere")
    assert away == "the database cannot be used: No such file or directory"


async def test_what_is_given_in_a_file_is_not_silent(tmp_path: Path, database_url: str) -> None:
    write_environment(tmp_path, {"DATABASE_URL": "postgresql:///db?host=/nowhere"})
    (tmp_path / "url").write_text(database_url)
    (tmp_path / "DATABASE_URL").write_text(database_url)
    operator = Operator(tmp_path)
    assert await operator.json("status", DATABASE_URL_FILE=str(tmp_path / "url")) == []
    assert await operator.json("status", CREDENTIALS_DIRECTORY=str(tmp_path)) == []
    assert "No such file" in await operator.refused("status")


async def test_output_that_nobody_takes(operator: Operator) -> None:
    with Path("/dev/full").open("w") as full:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy.command", "status", "--json"),
            env=service_environment({**operator.environment, "PYTHONUNBUFFERED": ""}),
            cwd=CHECKOUT,
            stdout=full,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
    assert (process.returncode, said.decode()) == (1, "healthsweep: [Errno 28] No space left on device\n")


async def test_a_status_that_the_platforms_type_does_not_have(
    tmp_path: Path, platform_database_url: str
) -> None:
    operator = Operator(tmp_path, DATABASE_URL=platform_database_url)
    await operator.does("migrate")
    async with connected(platform_database_url) as connection:
        await connection.execute(
            "ALTER TABLE public.workspaces ADD CONSTRAINT old CHECK (status::text <> 'awaiting_agent')"
        )
    sentence = await operator.refused("workspace", "add", "x", "--status", "awaiting_agent")
    assert sentence.startswith("the database does not take this: ")


@pytest.mark.parametrize(
    "content", [b"ADMIN_TOKEN=hunter2\xff", b"ADMIN_TOKEN='hunter2"], ids=["bytes", "quotes"]
)
async def test_an_env_file_that_is_broken(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "env").write_bytes(content)
    sentence = await Operator(tmp_path).refused("status", status=78)
    assert sentence.startswith("HEALTHSWEEP_HOME has a file env that cannot be read")
    assert "hunter2" not in sentence


async def test_an_env_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    assert "Is a directory" in await Operator(tmp_path).refused("status")
