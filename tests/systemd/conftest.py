"""Booted machines, each fresh, and an engine outside of them. See machine.py."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine import DockerEngine
from tests.systemd.machine import Machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.systemd)


ENGINE_GROUP = 990
"""The machines' group docker, which may use the socket of the engine outside."""


@pytest.fixture(scope="module")
def bare_machine(processes: None, module_directory: Path, docker_engine: DockerEngine) -> Iterator[Machine]:
    """A new host with Docker, and nothing of ours."""
    os.chown(docker_engine.socket, 0, ENGINE_GROUP)
    with Machine(module_directory / "machine", bind={docker_engine.socket.parent: "/run/engine"}) as machine:
        machine.does(
            f"groupadd --gid {ENGINE_GROUP} docker && ln -s /run/engine/docker.sock /run/docker.sock"
        )
        yield machine
