"""Booted machines, each fresh, and an engine outside of them. See machine.py."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine import DockerEngine
from tests.systemd.machine import INSTALL, Machine

ENGINE_GROUP = 990
"""The machines' group docker, which may use the socket of the engine outside."""

OWN_DATABASE = "postgresql://somebody:secret@127.0.0.1/platform"
OWN_SERVER = """
apt-get -qq install -y --no-install-recommends postgresql >/dev/null 2>&1
cd / && runuser -u postgres -- psql -qc "CREATE ROLE somebody LOGIN PASSWORD 'secret'"
runuser -u postgres -- psql -qc "CREATE DATABASE platform OWNER somebody"
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.systemd)
            # The tests of a machine follow each other: a second try would meet another machine.
            item.add_marker(pytest.mark.flaky(reruns=0))


@pytest.fixture(scope="module")
def bare_machine(processes: None, module_directory: Path, docker_engine: DockerEngine) -> Iterator[Machine]:
    """A new host with Docker, and nothing of ours."""
    os.chown(docker_engine.socket, 0, ENGINE_GROUP)
    with Machine(module_directory / "machine", bind={docker_engine.socket.parent: "/run/engine"}) as machine:
        machine.does(
            f"groupadd --gid {ENGINE_GROUP} docker && ln -s /run/engine/docker.sock /run/docker.sock"
        )
        yield machine


@pytest.fixture(scope="module")
def installed(bare_machine: Machine) -> Machine:
    """A host with the product, on a database that was there before, with a password, over TCP."""
    bare_machine.does(OWN_SERVER)
    bare_machine.does(INSTALL, DATABASE_URL=OWN_DATABASE)
    return bare_machine
