"""What is tied to a process ends with it."""

import os
import signal
import subprocess
import sys

import pytest

from deploy.children import tied
from tests.deploy.running import until
from tests.support.remains import living

pytestmark = pytest.mark.usefixtures("processes")

_PARENT = """
import subprocess, sys, time
from deploy.children import tied
print(subprocess.Popen(tied(["sleep", "1000"])).pid, flush=True)
time.sleep(1000)
"""


def test_a_tied_program_runs_under_the_same_pid_and_keeps_its_arguments() -> None:
    with subprocess.Popen(tied(["sh", "-c", 'echo $$ "$1"', "sh", "a b"]), stdout=subprocess.PIPE) as process:
        assert process.communicate()[0].decode() == f"{process.pid} a b\n"


def test_it_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert child in living()
        parent.send_signal(signal.SIGKILL)
    until(lambda: child not in living())


def test_it_does_not_start_when_its_parent_is_gone_already() -> None:
    """As it looks to a program whose parent ends between fork and the request for a signal."""
    somebody_else = ["sh", "-c", '"$@"; true', "sh", *tied(["echo", "started"])]
    assert subprocess.run(somebody_else, capture_output=True, check=True).stdout == b""
    assert os.getppid() != 1
