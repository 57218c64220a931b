"""The product's own processes, run as a host would run them and read as an operator would read them.

async with ServiceProcess("sweeper", {"DATABASE_URL": database_url, "DOCKER_HOST": proxy.host}) as sweeper:
    await sweeper.event("sweep.completed")
    here = sweeper.position
    await container.kill()
    line = await sweeper.event("workspace.marked_offline", after=here, workspace_id=str(workspace_id))
    await sweeper.sweeps(5)                     five more sweeps, whatever became of them
    assert not sweeper.events("engine.unreachable")
    assert not sweeper.noise                    nothing but JSON was printed
assert sweeper.status == 0

ended = await run_command("status", "--json", environment={...})
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from coverage import Coverage

from deploy.children import tied

CHECKOUT = Path(__file__).resolve().parent.parent.parent

SWEEP_ENDS = ("sweep.completed", "sweep.failed")
"""One for each sweep: one that was aborted is completed too."""

_LONGEST_LINE = 1 << 20
_STOP_SECONDS = 15.0
_SWEEPS_SECONDS = 120.0
_COMMAND_SECONDS = 60.0


class LogLine(dict[str, Any]):
    """One line of the log. `received_at` is this process's clock, whatever the line's own `ts` says."""

    def __init__(self, keys: Mapping[str, Any]) -> None:
        super().__init__(keys)
        self.received_at = datetime.now(UTC)


class ServiceProcess:
    """`python -m module` in a session of its own, from entering to leaving. It dies with this process.

    It sees `environment` and nothing else of ours, but for METRICS_PORT, which is off where not given.
    Leaving sends SIGTERM, and SIGKILL where that is not enough. It gets `passed` as from systemd.
    """

    def __init__(
        self, module: str, environment: Mapping[str, str], *, passed: socket.socket | None = None
    ) -> None:
        self._module = module
        self._passed = passed
        self._environment = environment
        self._ended = False
        self.lines: list[LogLine] = []
        self.noise: list[str] = []
        """What was printed and is no JSON object, of stdout and of stderr."""

    async def __aenter__(self) -> Self:
        self._grown = asyncio.Condition()
        command = [sys.executable, "-m", self._module]
        handed_down = [self._passed.fileno()] if self._passed else []
        for number in handed_down:
            command = ["bash", "-c", f'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&{number}', "bash", *command]
        self._process = await asyncio.create_subprocess_exec(
            *tied(command, death_signal="KILL"),
            pass_fds=handed_down,
            cwd=CHECKOUT,
            env=service_environment(self._environment, package=self._module),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=_LONGEST_LINE,
        )
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.status is None:
            self.send_signal(signal.SIGCONT)
            self.send_signal(signal.SIGTERM)
        try:
            await self.wait(timeout=_STOP_SECONDS)
        except TimeoutError:
            self.send_signal(signal.SIGKILL)
            await self.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, -N where signal N ended it, None while it runs."""
        return self._process.returncode

    @property
    def position(self) -> int:
        """How many lines there are by now: for `after=`."""
        return len(self.lines)

    def events(self, name: str, *, after: int = 0, **keys: object) -> list[LogLine]:
        """The lines of this event, from line `after` on, that carry all of `keys`."""
        return [
            line
            for line in self.lines[after:]
            if line.get("event") == name and all(line.get(key) == value for key, value in keys.items())
        ]

    async def event(self, name: str, *, timeout: float = 30, after: int = 0, **keys: object) -> LogLine:
        """The first of `events(...)`, waited for. Raises AssertionError with the log's end if none comes."""
        await self._until(
            lambda: bool(self.events(name, after=after, **keys)), timeout, f"{name} {keys or ''}"
        )
        return self.events(name, after=after, **keys)[0]

    async def sweeps(self, count: int) -> None:
        """Wait until `count` more sweeps have come to an end, good or bad."""
        here = self.position
        await self._until(
            lambda: sum(line.get("event") in SWEEP_ENDS for line in self.lines[here:]) >= count,
            _SWEEPS_SECONDS,
            f"{count} sweeps",
        )

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the process, if it is still there."""
        if self.status is None:
            self._process.send_signal(number)

    async def wait(self, *, timeout: float | None = None) -> int:
        """The exit status, once it has ended and all that it printed is here. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            await asyncio.shield(self._following)
        return await self._process.wait()

    async def _until(self, is_there: Callable[[], bool], timeout: float, what: str) -> None:
        try:
            async with asyncio.timeout(timeout), self._grown:
                await self._grown.wait_for(lambda: is_there() or self._ended)
        except TimeoutError:
            pass
        if not is_there():
            how = f"ended with {self.status}" if self._ended else f"ran for {timeout:g} s"
            end = "\n".join([*map(json.dumps, self.lines[-20:]), *self.noise[-20:]])
            raise AssertionError(f"{self._module} {how} without {what}; the end of its log:\n{end}")

    async def _follow(self) -> None:
        async with asyncio.TaskGroup() as group:
            for stream in (self._process.stdout, self._process.stderr):
                if stream is not None:
                    group.create_task(self._read(stream))
        await self._process.wait()
        self._ended = True
        await self._tell()

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            self._keep(line.decode(errors="replace").rstrip("\n"))
            await self._tell()

    def _keep(self, text: str) -> None:
        try:
            keys = json.loads(text)
        except ValueError:
            keys = None
        if isinstance(keys, dict):
            self.lines.append(LogLine(keys))
        else:
            self.noise.append(text)

    async def _tell(self) -> None:
        async with self._grown:
            self._grown.notify_all()


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a command."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What it printed, with `--json`."""
        return json.loads(self.stdout)


async def run_command(*arguments: str, environment: Mapping[str, str]) -> Ended:
    """`healthsweep arguments...`, from the checkout, with `environment` and nothing else of ours."""
    process = await asyncio.create_subprocess_exec(
        *tied([sys.executable, "-m", "deploy.command", *arguments], death_signal="KILL"),
        cwd=CHECKOUT,
        env=service_environment(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_COMMAND_SECONDS):
            stdout, stderr = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Ended(await process.wait(), stdout.decode(), stderr.decode())


def service_environment(environment: Mapping[str, str], *, package: str = "shared") -> dict[str, str]:
    """`environment` over the little that a program needs to run here.

    Its coverage is measured where that of `package` is: tracing makes a program slow, and what else it runs
    others run, too.
    """
    coverage = Coverage.current()
    sources = coverage.get_option("run:source") if coverage else None
    measures = isinstance(sources, list) and package in sources
    ours = {name: value for name, value in os.environ.items() if measures and name.startswith("COVERAGE_")}
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.environ.get("HOME", "/"),
        "METRICS_PORT": "0",
        **ours,
        **environment,
    }
