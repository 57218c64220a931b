"""A running `deploy/run`, read as an operator reads it."""

import contextlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.children import tied
from deploy.home import read_environment
from tests.support.processes import CHECKOUT, service_environment
from tests.support.remains import descendants, living

_SECONDS = 60.0


class Running:
    """The supervisor on `home`, as a process that dies with this one."""

    def __init__(self, home: Path, process: subprocess.Popen[bytes], log: Path) -> None:
        self.home = home
        self.pid = process.pid
        self._process = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def environment(self) -> dict[str, str]:
        """What the file `env` tells other terminals."""
        return read_environment(self.home)

    def children(self) -> set[int]:
        """The pids of all that lives below it."""
        return set(descendants(self.pid))

    def line(self, pattern: str, *, count: int = 1) -> re.Match[str]:
        """The `count`th line that matches, waited for. Raises AssertionError with the log if none comes."""
        expression = re.compile(pattern, re.MULTILINE)

        def found() -> list[re.Match[str]]:
            return list(expression.finditer(self.log))

        with contextlib.suppress(TimeoutError):
            until(lambda: len(found()) >= count or self._process.poll() is not None)
        assert len(found()) >= count, f"no {pattern!r} in\n{self.log}"
        return found()[count - 1]

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ended(self) -> int:
        """The exit status, waited for."""
        return self._process.wait(_SECONDS)


@contextmanager
def starting(
    home: Path,
    *arguments: str,
    module: str = "tests.deploy.stand_ins",
    before: Sequence[str] = (),
    **environ: str,
) -> Iterator[Running]:
    """The supervisor on `home`, with stand-ins for the services unless `module` is another.

    `before` is a program that becomes it, such as setpriv.
    """
    own = {"HEALTHSWEEP_HOME": str(home), "DOCKER_HOST": f"unix://{home}/no-engine.sock"}
    with (
        tempfile.NamedTemporaryFile() as log,
        subprocess.Popen(
            [*before, *tied([sys.executable, "-m", module, *arguments])],
            cwd=CHECKOUT,
            env=service_environment({**own, **environ}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        product = Running(home, process, Path(log.name))
        try:
            yield product
        finally:
            children = product.children()
            process.kill()
            process.wait()
            until(lambda: not living().keys() & children)


@contextmanager
def running(home: Path, *arguments: str, **environ: str) -> Iterator[Running]:
    """`starting`, and ready."""
    with starting(home, *arguments, **environ) as product:
        product.line("^ready ")
        yield product


def until(is_so: Callable[[], bool]) -> None:
    """Wait until it is so. Raises TimeoutError."""
    deadline = time.monotonic() + _SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)
