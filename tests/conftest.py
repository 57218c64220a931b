"""The rig as fixtures. Each starts when a test first asks for it; all of it is gone when the tests end.

fake_daemon            a daemon that answers as scripted: tests/support/daemon.py
docker, podman         a real engine, everybody's; your containers go with the test: engine.py there
real_engine            both of them, in turn
private_docker         one to kill, stop or restart
docker_proxy           a recording, faulty proxy before `docker`: proxy.py, judge.py
postgres               a real PostgreSQL, everybody's: postgres.py
private_postgres       one to kill, stop, restart or make read-only
database_url           a fresh, migrated database
module_database_url    one for all tests of a module
platform_database_url  a platform server's database, twice: status as text, as enum; not migrated
fake_clock             a clock for the processes that you start: clock.py
module_directory       a directory of all tests of a module
short_directory        a directory for sockets; whatever still runs in it afterwards is ended
processes              for fixtures and tests that start programs themselves: those tests are tried again
"""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from tests.support.daemon import FakeDaemon
from tests.support.engine import DockerEngine, RealEngine
from tests.support.podman import PodmanEngine
from tests.support.postgres import PlatformVariant, PostgresServer
from tests.support.proxy import RecordingProxy
from tests.support.remains import private_directory, remove

_LONGEST_FIRST = (
    "test_hangs.py",
    "test_install.py",
    "test_mutants.py",
    "test_no_false_offline.py",
    "test_schemathesis.py",
    "test_install_chaos.py",
    "test_api_bench.py",
    "test_sweep_bench.py",
    "test_hostile_connections.py",
    "test_plugins_in_containers.py",
)
"""Several processes share the files of a run: the long ones begin first, so that none ends alone."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ranks = {name: rank for rank, name in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))
    if config.pluginmanager.hasplugin("rerunfailures"):  # a mutant's test is run without
        for item in items:
            if isinstance(item, pytest.Function) and "processes" in item.fixturenames:
                item.add_marker(pytest.mark.flaky(reruns=2))


@pytest.fixture(scope="session")
def processes() -> None:
    """What is asked for where programs are started: an engine, a server, the product's own processes.

    A busy machine can be slower than any deadline, so such a test is tried again twice, and the summary
    names it. No other test is: what fails once in a while there is a race of our own.
    """


@pytest.fixture(scope="session")
def run_directory() -> Iterator[Path]:
    """Where this run of the tests keeps everything."""
    with private_directory() as directory:
        yield directory


@pytest.fixture
def short_directory(run_directory: Path) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="", dir=run_directory))
    yield directory
    remove(directory)


@pytest.fixture(scope="module")
def module_directory(run_directory: Path, request: pytest.FixtureRequest) -> Path:
    directory = run_directory / request.path.stem.removeprefix("test_")
    directory.mkdir()
    return directory


@pytest.fixture
async def fake_daemon(short_directory: Path) -> AsyncIterator[FakeDaemon]:
    async with FakeDaemon(short_directory / "docker.sock") as daemon:
        yield daemon


@pytest.fixture(scope="session")
async def docker_engine(processes: None, run_directory: Path) -> AsyncIterator[DockerEngine]:
    """What `docker` is, for fixtures that outlive a test."""
    async with DockerEngine(run_directory / "docker") as engine:
        yield engine


@pytest.fixture
async def docker(docker_engine: DockerEngine) -> AsyncIterator[DockerEngine]:
    yield docker_engine
    await docker_engine.remove_containers()


@pytest.fixture
async def private_docker(processes: None, short_directory: Path) -> AsyncIterator[DockerEngine]:
    async with DockerEngine(short_directory / "docker") as engine:
        yield engine


@pytest.fixture
async def docker_proxy(docker: DockerEngine, short_directory: Path) -> AsyncIterator[RecordingProxy]:
    async with RecordingProxy(docker.socket, short_directory / "proxy.sock") as proxy:
        yield proxy


@pytest.fixture(scope="session")
async def podman_engine(processes: None, run_directory: Path) -> AsyncIterator[PodmanEngine]:
    """What `podman` is, for fixtures that outlive a test."""
    async with PodmanEngine(run_directory / "podman") as engine:
        yield engine


@pytest.fixture
async def podman(podman_engine: PodmanEngine) -> AsyncIterator[PodmanEngine]:
    yield podman_engine
    await podman_engine.remove_containers()


@pytest.fixture(params=["docker", "podman"])
def real_engine(processes: None, request: pytest.FixtureRequest) -> RealEngine:
    engine: RealEngine = request.getfixturevalue(request.param)
    return engine


@pytest.fixture(scope="session")
async def postgres(run_directory: Path) -> AsyncIterator[PostgresServer]:
    async with PostgresServer(run_directory / "postgres") as server:
        yield server


@pytest.fixture
async def private_postgres(processes: None, short_directory: Path) -> AsyncIterator[PostgresServer]:
    async with PostgresServer(short_directory / "postgres") as server:
        yield server


@pytest.fixture(scope="session")
async def migrated_database(postgres: PostgresServer) -> str:
    """The url of the template of every `database_url`; nobody may connect to it."""
    return await postgres.create_migrated_database()


@pytest.fixture
async def database_url(postgres: PostgresServer, migrated_database: str) -> AsyncIterator[str]:
    url = await postgres.create_database(template=migrated_database)
    yield url
    await postgres.drop_database(url)


@pytest.fixture(scope="module")
async def module_database_url(postgres: PostgresServer, migrated_database: str) -> AsyncIterator[str]:
    """A migrated database of all tests of a module, each of which keeps to rows of its own."""
    url = await postgres.create_database(template=migrated_database)
    yield url
    await postgres.drop_database(url)


@pytest.fixture(params=["text", "enum"])
async def platform_database_url(
    postgres: PostgresServer, request: pytest.FixtureRequest
) -> AsyncIterator[str]:
    variant: PlatformVariant = request.param
    url = await postgres.create_platform_database(variant)
    yield url
    await postgres.drop_database(url)


@pytest.fixture
def fake_clock(processes: None, short_directory: Path) -> Iterator[FakeClock]:
    with FakeClock(short_directory) as clock:
        yield clock
