"""What a service and its manager tell each other: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).

`deploy/run` speaks the manager's side of the first, so a process is watched in the same way in both homes.
"""

import asyncio
import contextlib
import math
import os
import socket
import time

_FIRST_PASSED = 3


def notify(state: str) -> None:
    """Send `state`, such as `READY=1`, to the manager; without one, or if it is gone, nothing happens."""
    _send(state, 0)


def status(words: str) -> None:
    """What this process does or waits for, one line for people who ask the manager."""
    _send(f"STATUS={words}", socket.MSG_DONTWAIT)


def alive() -> None:
    """Tell the watchdog, where there is one, that something was finished. Never to be called by a timer."""
    if watchdog_s() < math.inf:
        _send("WATCHDOG=1", socket.MSG_DONTWAIT)


def watchdog_s() -> float:
    """After how long without `alive` the manager ends this process; infinity where it does not watch."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or os.environ.get("WATCHDOG_PID", _own_pid()) != _own_pid():
        return math.inf
    return int(microseconds) / 1_000_000


async def idle(seconds: float) -> None:
    """Sleep. Whoever has nothing to do for longer than the watchdog waits does not hang."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > watchdog_s() / 2:
        await asyncio.sleep(watchdog_s() / 2)
        alive()
    await asyncio.sleep(max(0.0, left))
    alive()


def passed_sockets() -> list[socket.socket]:
    """The sockets that the manager opened for this process, which owns them now: empty after the first call.

    Programs that this process starts get neither them nor the variables that tell of them. Raises OSError
    for what is no socket.
    """
    told = {name: os.environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")}
    if told["LISTEN_PID"] != _own_pid() or not told["LISTEN_FDS"].isdecimal():
        return []
    numbers = range(_FIRST_PASSED, _FIRST_PASSED + int(told["LISTEN_FDS"]))
    for number in numbers:
        os.set_inheritable(number, False)
    return [socket.socket(fileno=number) for number in numbers]


def _own_pid() -> str:
    return str(os.getpid())


def _send(state: str, flags: int) -> None:
    # What is said again and again may be lost: a manager that reads no more, such as a stopped
    # `deploy/run`, must not stop us too.
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # the abstract namespace
        address = "\0" + address[1:]
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager,
        contextlib.suppress(OSError),  # whom nobody waits for is as ready, and must end on a signal too
    ):
        manager.sendto(state.encode(), flags, address)
