"""The notify protocol, through which a service manager learns that a process is ready (sd_notify(3)).

`deploy/run` speaks the manager's side of it too, so a process is watched in the same way in both homes.
"""

import contextlib
import os
import socket


def notify(state: str) -> None:
    """Send `state`, such as `READY=1`, to the manager; without one, or if it is gone, nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # the abstract namespace
        address = "\0" + address[1:]
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager,
        contextlib.suppress(OSError),  # whom nobody waits for is as ready, and must end on a signal too
    ):
        manager.sendto(state.encode(), address)
