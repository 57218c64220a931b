"""A whole machine with a booted systemd: a Debian in systemd-nspawn, bare, without a network.

    with Machine(directory / "host", bind={engine.socket.parent: "/run/engine"}) as machine:
        machine.does(INSTALL)                                      a shell in it, as root
        machine.shows(API, "NRestarts")                            what systemd says of a unit
        machine.journal(API, "--priority=warning")                 what the unit said
        machine.ask("/health")                                     what the api answers in it
        with machine.network(): ...                                sockets made here are the machine's

It boots in some 3 seconds. What is written in it stays in memory; leaving powers it off, and nothing is left.
"""

import contextlib
import ctypes
import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deploy.children import tied
from tests.support.api import Answer
from tests.support.processes import CHECKOUT, Ended
from tests.support.remains import descendants
from tests.systemd.debian import WHEELS, bare_debian, wheels

INSTALL = "bash /mnt/checkout/deploy/install"
NEXT = """
mkdir /root/next && cd /mnt/checkout && cp -r api deploy docs shared sweeper pyproject.toml LICENSE /root/next
cd /root/next && sed -i 's/0.1.0/0.2.0/' shared/__init__.py
"""
"""Makes a checkout of a later version, at /root/next."""
API, SWEEPER = "healthsweep-api.service", "healthsweep-sweeper.service"

_BOOT_SECONDS = 60.0
_OFF_SECONDS = 30.0
_ANSWER_SECONDS = 60.0
_COMMAND_SECONDS = 150.0
_POWER_OFF = signal.SIGRTMIN + 4  # systemd(1)
_CLONE_NEWNET = 0x40000000
_ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "LANG=C.UTF-8",
    "PIP_NO_INDEX=1",
    f"PIP_FIND_LINKS={WHEELS}",
)


class Machine:
    """Runs from entering to leaving. `bind` shows directories of ours in it, for reading and writing.

    The checkout is at /mnt/checkout, for reading.
    """

    def __init__(self, directory: Path, *, bind: Mapping[Path, str] | None = None) -> None:
        directory.mkdir()
        self._console = directory / "console"
        shown = {CHECKOUT: "/mnt/checkout", wheels(): WHEELS}
        self._command = [
            "systemd-nspawn",
            "--quiet",
            f"--directory={bare_debian()}",
            f"--machine={directory.parent.name}-{directory.name}".replace("_", "-"),
            "--volatile=overlay",
            "--boot",
            "--register=no",
            "--keep-unit",
            "--private-network",
            "--console=pipe",
            *(f"--bind-ro={here}:{there}" for here, there in shown.items()),
            *(f"--bind={here}:{there}" for here, there in (bind or {}).items()),
        ]

    def run(self, script: str, *, timeout: float = _COMMAND_SECONDS, **environment: str) -> Ended:
        """What becomes of `script` in a shell of the machine's, as root in /root."""
        given = [f"{name}={value}" for name, value in environment.items()]
        entering = ["nsenter", f"--target={self._first}", "-m", "-u", "-i", "-n", "-p", "-C", "--wdns=/root"]
        command = [*entering, "env", "-i", *_ENVIRONMENT, *given, "bash", "-c", script]
        ended = subprocess.run(
            tied(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def does(self, script: str, *, timeout: float = _COMMAND_SECONDS, **environment: str) -> str:
        """What `script` prints. Raises AssertionError where it fails."""
        ended = self.run(script, timeout=timeout, **environment)
        assert ended.status == 0, f"{script}\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def shows(self, unit: str, *properties: str) -> tuple[str, ...]:
        """What `systemctl show` says of them."""
        said = self.does(f"systemctl show {unit} --property={','.join(properties)}")
        values = dict(line.split("=", 1) for line in said.splitlines())
        return tuple(values[name] for name in properties)

    def journal(self, unit: str, *options: str) -> list[dict[str, Any]]:
        """The unit's lines, the oldest first, with all fields."""
        said = self.does(f"journalctl --output=json --unit={unit} {' '.join(options)}")
        return [json.loads(line) for line in said.splitlines()]

    def log(self, unit: str, event: str, **keys: object) -> list[dict[str, Any]]:
        """The lines of this event in the unit's log, that carry all of `keys`."""
        said = (line["MESSAGE"] for line in self.journal(unit))
        lines = [json.loads(line) for line in said if line.startswith("{")]
        return [line for line in lines if line["event"] == event and keys.items() <= line.items()]

    def listing(self) -> set[str]:
        """Every file of the machine's disk with its mode, owner, size and time.

        Logs, caches, what PostgreSQL writes for itself and root's own files are left out.
        """
        left_out = ("/var/log", "/var/cache", "/var/lib/postgresql", "/root")
        aside = " ".join(f"-not -path '{path}/*'" for path in left_out)
        return set(self.does(f"find / -xdev {aside} -printf '%p %y %m %U:%G %s %T@ %l\\n'").splitlines())

    def ask(self, path: str, *, token: str = "", body: object = None) -> Answer:
        """What the api answers, at its usual address; POST where there is a body."""
        with self.network():
            connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=_ANSWER_SECONDS)
            connection.connect()
        with contextlib.closing(connection):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            method, content = ("GET", None) if body is None else ("POST", json.dumps(body))
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers), response.read())

    def ready(self) -> bool:
        """Whether both services are up and the api says that it is ready."""
        states = self.run(f"systemctl is-active {API} {SWEEPER}").stdout.split()
        return states == ["active", "active"] and self.ask("/ready").status == 200

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """This thread is in the machine's network, for the sockets that it makes."""
        ours, theirs = (Path(f"/proc/{which}/ns/net") for which in ("thread-self", self._first))
        with ours.open() as here, theirs.open() as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(here.fileno())

    def until(self, is_so: Callable[[], bool], *, seconds: float = 60.0, what: str = "") -> float:
        """After how many seconds it is so. Raises AssertionError, with the journal's end, if it never is."""
        began = time.monotonic()
        while not is_so():
            if time.monotonic() > began + seconds:
                raise AssertionError(
                    f"not so after {seconds} s: {what}\n{self.run('journalctl -n 50').stdout}"
                )
            time.sleep(0.05)
        return time.monotonic() - began

    def __enter__(self) -> Self:
        with self._console.open("wb") as console:
            self._nspawn = subprocess.Popen(
                tied(self._command),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        deadline = time.monotonic() + _BOOT_SECONDS
        while not self._is_up():
            if self._nspawn.poll() is not None or time.monotonic() > deadline:
                self._end()
                raise RuntimeError(f"the machine did not start: {self._console.read_text()}")
            time.sleep(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self._first, _POWER_OFF)
        self._end()

    def _is_up(self) -> bool:
        children = descendants(self._nspawn.pid)
        if not children:
            return False
        self._first = children[0]
        return self.run("systemctl is-system-running").stdout.strip() == "running"

    def _end(self) -> None:
        try:
            self._nspawn.wait(_OFF_SECONDS)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()  # and all that is in it
            self._nspawn.wait()


def _enter(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
