"""Children of the supervisor: started, watched, started again, stopped, and never left behind."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.process import EX_CONFIG

_DEATHS = 3
_PAUSE = 1.0
_LOOK = 0.02


def say(text: str) -> None:
    """One plain line for people; a closed terminal is no reason to stop."""
    with contextlib.suppress(OSError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def tied(command: Sequence[str], *, death_signal: str = "KILL") -> list[str]:
    """`command`, which the kernel sends `death_signal` when the thread that starts it ends, also by kill -9.

    The shell looks whether that has happened already: a signal asked for too late never comes.
    """
    still_there = ["sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid())]
    return ["setpriv", "--pdeathsig", death_signal, "--", *still_there, *command]


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run. `command` answers the arguments, tied to this process.

    It is ready when it says READY=1 to its NOTIFY_SOCKET (sd_notify(3)), or when `is_ready`, given its pid,
    says so, or, if it is to run only `once`, when it has ended well. What it writes goes to `log`, else to
    our own output. `clean_up` follows its end.
    """

    name: str
    command: Callable[[], list[str]]
    is_ready: Callable[[int], bool] | None = None
    once: bool = False
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    log: Path | None = None
    clean_up: Callable[[], None] | None = None


class Child:
    """One program that is kept running from `keep` to `stop`."""

    def __init__(
        self, program: Program, environ: Mapping[str, str], *, inherited: Sequence[int] = ()
    ) -> None:
        self.program = program
        self._inherited = inherited
        self.ready = asyncio.Event()
        self._environ = environ
        self._stopping = asyncio.Event()
        self._starting = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def keep(self) -> int:
        """Run the program, again when it ends; answers the exit status to leave with if that is no use."""
        deaths = 0
        while not self._stopping.is_set():
            self.ready.clear()
            status = await self._run()
            if self._stopping.is_set():
                break
            if self.program.once and status == 0:
                self.ready.set()
                await self._stopping.wait()
                break
            deaths = 0 if self.ready.is_set() else deaths + 1
            if status == EX_CONFIG or self.program.once or deaths == _DEATHS:
                more = f", see {self.program.log}" if self.program.log else ""
                say(f"healthsweep: {self.program.name} {_ended(status)}: giving up{more}")
                return EX_CONFIG if status == EX_CONFIG else 1
            say(f"healthsweep: {self.program.name} {_ended(status)}: starting it again in {_PAUSE:.0f} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _PAUSE)
        return 0

    async def stop(self) -> None:
        """Ask the program to end, insist when its time is over, and wait until it is gone."""
        self._stopping.set()
        async with self._starting:
            process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(self.program.stop_signal)
        try:
            await asyncio.wait_for(process.wait(), self.program.stop_seconds)
        except TimeoutError:
            say(f"healthsweep: {self.program.name} takes too long to end: killing it")
            self.kill()
            await process.wait()

    def kill(self) -> None:
        """End the program now."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _run(self) -> int:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as notices:
            notices.bind("")  # the kernel picks an abstract name: nothing to remove, never too long
            name = notices.getsockname().decode().replace("\0", "@")
            async with self._starting:
                if self._stopping.is_set():
                    return 0
                self._process = process = await self._spawn({**self._environ, "NOTIFY_SOCKET": name})
            watching = asyncio.create_task(self._watch(process.pid, notices))
            try:
                return await process.wait()
            finally:
                watching.cancel()
                if self.program.clean_up is not None:
                    self.program.clean_up()

    async def _spawn(self, environ: Mapping[str, str]) -> asyncio.subprocess.Process:
        with self.program.log.open("ab") if self.program.log else contextlib.nullcontext() as output:
            return await asyncio.create_subprocess_exec(
                *self.program.command(),
                env=environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=self._inherited,
            )

    async def _watch(self, pid: int, notices: socket.socket) -> None:
        if self.program.is_ready is not None:
            while not self.program.is_ready(pid):
                await asyncio.sleep(_LOOK)
            self.ready.set()
        while True:  # read on: a full socket would block whoever writes to it
            notice = await asyncio.get_running_loop().sock_recv(notices, 4096)
            if b"READY=1" in notice.split(b"\n"):
                self.ready.set()


def _ended(status: int) -> str:
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
