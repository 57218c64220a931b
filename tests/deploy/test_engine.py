"""The private Docker Engine, and the demo that needs one."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.engine import PrivateEngine
from deploy.images import answers, import_image, start_container
from deploy.places import StartError
from tests.deploy.running import starting, until
from tests.support.processes import service_environment
from tests.support.remains import belonging

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("dockerd") is None, reason="needs root and dockerd"
)


@pytest.fixture
def engine(home: Path) -> PrivateEngine:
    engine = PrivateEngine(home)
    engine.prepare()
    return engine


@contextmanager
def running(engine: PrivateEngine) -> Iterator[subprocess.Popen[bytes]]:
    with engine.log.open("ab") as log, subprocess.Popen(engine.command, stdout=log, stderr=log) as daemon:
        try:
            until(lambda: engine.is_ready(daemon.pid) or daemon.poll() is not None)
            assert daemon.poll() is None, engine.log.read_text()
            yield daemon
        finally:
            daemon.terminate()
            daemon.wait()
            engine.clean_up()


def mounts_below(directory: Path) -> list[str]:
    return [
        line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f" {directory}/" in line
    ]


def test_containers_run_without_a_registry_and_end_with_the_engine(engine: PrivateEngine, home: Path) -> None:
    with running(engine):
        import_image(engine.host)
        for _ in range(2):
            start_container(engine.host, "ws-1")
        with pytest.raises(StartError, match=r"refuses the container ws-2: .*No such image"):
            start_container(engine.host, "ws-2", image="missing")
    assert not belonging(home)
    assert not mounts_below(home)
    assert not answers(engine.host, seconds=1)


def test_what_a_killed_engine_leaves_is_ended_before_the_next_start(
    engine: PrivateEngine, home: Path
) -> None:
    with running(engine) as daemon:
        import_image(engine.host)
        start_container(engine.host, "ws-1")
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
        assert belonging(home)
        again = PrivateEngine(home)
        again.prepare()
        until(lambda: not belonging(home))
        assert not mounts_below(home)
        with running(again):
            start_container(again.host, "ws-1")
    assert not belonging(home)


def test_two_on_the_same_directory_are_refused(engine: PrivateEngine, home: Path) -> None:
    with running(engine), pytest.raises(StartError, match="another dockerd runs on"):
        PrivateEngine(home).prepare()


def test_the_demo_makes_the_same_workspaces_once_and_leaves_no_engine(home: Path) -> None:
    ids = set()
    for _ in range(2):
        with starting(
            home, "--demo", module="deploy.supervisor", SWEEP_INTERVAL="1", ONLINE_GRACE="0"
        ) as product:
            product.line("^    docker -H .* start ws-")
            until(lambda: [row["status"] for row in _status(home)] == ["online"] * 3 + ["offline"])
            ids.add(tuple(row["id"] for row in _status(home)))
            product.signal(signal.SIGTERM)
            assert product.ended() == 0
        assert not belonging(home)
        assert not mounts_below(home)
    assert len(ids) == 1


def _status(home: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "deploy.command", "status", "--json"]
    environ = service_environment({"HEALTHSWEEP_HOME": str(home)})
    rows = json.loads(subprocess.run(command, capture_output=True, check=True, env=environ).stdout)
    return sorted(rows, key=lambda row: str(row["name"]))
