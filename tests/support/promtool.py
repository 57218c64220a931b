"""promtool, Prometheus's own judge of rules, queries and metrics."""

import os
import shutil
import subprocess

from tests.support.processes import CHECKOUT


def promtool(*arguments: str, given: str | None = None) -> tuple[int, str]:
    """The exit status, and all that it says. `given` is its standard input."""
    path = f"{CHECKOUT / '.cache' / 'bin'}:{os.environ.get('PATH', os.defpath)}"
    program = shutil.which("promtool", path=path)
    if program is None:
        raise RuntimeError("promtool is not installed: bash deploy/test brings it")
    done = subprocess.run(
        [program, *arguments],
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout
