"""The machine itself: it boots, has what it says, and leaves nothing."""

import socket
from pathlib import Path

from tests.support.remains import belonging
from tests.systemd.machine import Machine


def test_a_machine_is_new_each_time_and_leaves_nothing(short_directory: Path) -> None:
    for _ in range(2):
        with Machine(short_directory / "machine") as machine:
            assert machine.run("ls /root/was-here").status == 2
            machine.does("touch /root/was-here")
            assert machine.shows("init.scope", "ActiveState", "SubState") == ("active", "running")
            with machine.network():
                listening = socket.create_server(("127.0.0.1", 8080))
            with listening:
                machine.does("exec 3<>/dev/tcp/127.0.0.1/8080")
            assert machine.run("exec 3<>/dev/tcp/127.0.0.1/8080").status == 1
        (short_directory / "machine" / "console").unlink()
        (short_directory / "machine").rmdir()
    assert not belonging(short_directory)
    assert str(short_directory) not in Path("/proc/self/mountinfo").read_text()
