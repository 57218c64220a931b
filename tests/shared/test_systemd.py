"""What a service manager hears, on a real datagram socket, and the sockets that it hands over."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import systemd
from shared.systemd import notify
from tests.support.processes import CHECKOUT


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    """A manager's socket, not bound yet; what is not there at once never comes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.setblocking(False)
        yield listening


def test_a_path_is_a_socket_in_the_file_system(
    manager: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is at most 107 bytes long
    manager.bind("notify")
    monkeypatch.setenv("NOTIFY_SOCKET", "notify")
    notify("READY=1")
    assert manager.recv(100) == b"READY=1"


def test_an_at_sign_is_the_abstract_namespace(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager.bind("")  # the kernel picks an abstract name
    name: bytes = manager.getsockname()
    assert name.startswith(b"\0")
    monkeypatch.setenv("NOTIFY_SOCKET", "@" + name[1:].decode())
    notify("STOPPING=1")
    assert manager.recv(100) == b"STOPPING=1"


def test_each_state_is_one_datagram(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    manager.bind("")
    monkeypatch.setenv("NOTIFY_SOCKET", "@" + manager.getsockname()[1:].decode())
    notify("READY=1\nSTATUS=sweeping")
    notify("WATCHDOG=1")
    assert [manager.recv(100), manager.recv(100)] == [b"READY=1\nSTATUS=sweeping", b"WATCHDOG=1"]


@pytest.mark.parametrize("value", [None, ""], ids=["unset", "empty"])
def test_without_a_manager_nothing_happens(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", value)
    notify("READY=1")


@pytest.mark.parametrize("left", [False, True], ids=["never there", "its file is left"])
def test_a_manager_that_is_gone_is_no_error(
    left: bool, manager: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if left:
        manager.bind("notify")
        manager.close()
    monkeypatch.setenv("NOTIFY_SOCKET", "notify")
    notify("STOPPING=1")


@pytest.fixture
def watchdog(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """The socket of a manager that ends us after 0.2 s of silence."""
    manager.bind("")
    monkeypatch.setenv("NOTIFY_SOCKET", "@" + manager.getsockname()[1:].decode())
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    return manager


def heard(manager: socket.socket) -> list[bytes]:
    """Everything until now."""
    said = []
    while True:
        try:
            said.append(manager.recv(100))
        except BlockingIOError:
            return said


async def test_who_has_nothing_to_do_is_not_taken_for_hung(watchdog: socket.socket) -> None:
    await systemd.idle(0.55)
    said = heard(watchdog)  # each 0.1 s, or later on a busy machine, and at the end
    assert set(said) == {b"WATCHDOG=1"}
    assert 2 <= len(said) <= 6


@pytest.mark.parametrize("variable", ["WATCHDOG_PID", "WATCHDOG_USEC"])
async def test_who_is_not_watched_says_nothing(
    variable: str, watchdog: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    systemd.alive()
    assert heard(watchdog) == [b"WATCHDOG=1"]
    monkeypatch.setenv(variable, "1" if variable == "WATCHDOG_PID" else "")
    systemd.alive()
    await systemd.idle(0.3)
    assert heard(watchdog) == []


@pytest.mark.timeout(20)
def test_a_manager_that_reads_no_more_stops_nobody(watchdog: socket.socket) -> None:
    for _ in range(1000):  # more than any queue of datagrams holds
        systemd.status("swept")
        systemd.alive()
    assert heard(watchdog)[:2] == [b"STATUS=swept", b"WATCHDOG=1"]


TAKE = """
import json, os, subprocess, sys
from shared.systemd import passed_sockets
sockets = passed_sockets()
look = "ls -l /proc/self/fd | grep -c socket: ; env"
child = subprocess.run(["sh", "-c", look], stdin=subprocess.DEVNULL, capture_output=True, text=True)
json.dump({
    "ports": [each.getsockname()[1] for each in sockets],
    "again": len(passed_sockets()),
    "inherited": child.stdout.splitlines()[0],
    "told": [line for line in child.stdout.splitlines() if line.startswith("LISTEN_")],
}, sys.stdout)
"""


def taken(listening: socket.socket, environment: str) -> dict[str, object]:
    """What a process does with a socket that a manager hands over to it as descriptor 3."""
    give = f'{environment} exec "$@" 3<&{listening.fileno()}'
    done = subprocess.run(
        ["bash", "-c", give, "bash", sys.executable, "-c", TAKE],
        pass_fds=[listening.fileno()],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
        timeout=60,
    )
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_a_socket_is_taken_over_once_and_handed_on_to_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        for_us = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=api.socket"
        assert taken(listening, for_us) == {"ports": [port], "again": 0, "inherited": "0", "told": []}


@pytest.mark.parametrize("environment", ["", "LISTEN_PID=1 LISTEN_FDS=1", "LISTEN_PID=$$ LISTEN_FDS="])
def test_what_is_for_others_is_not_taken(environment: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        answer = taken(listening, environment)
        assert (answer["ports"], answer["told"]) == ([], [])
