"""What a service manager hears, on a real datagram socket."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.systemd import notify


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
