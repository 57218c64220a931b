"""The manager's side of sd_notify(3), on a real datagram socket.

with Manager(directory / "notify") as manager:
    async with ServiceProcess("sweeper", {**environment, **manager.watching(10)}) as sweeper:
        assert await manager.told() == "READY=1"
        await manager.status("swept ")
        assert manager.longest_silence() < 10
"""

import asyncio
import itertools
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

_SECONDS = 30.0


class Manager:
    """Hears what is sent to NOTIFY_SOCKET, which is `path`, one line after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[str] = []
        self.fed_at: list[float] = []
        """When WATCHDOG=1 came, by the monotonic clock."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._told = 0

    def __enter__(self) -> Self:
        self._socket.bind(str(self.path))
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._hear)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def watching(self, seconds: float) -> dict[str, str]:
        """The variables of a process that has to say that it is alive within `seconds`, again and again."""
        return {"NOTIFY_SOCKET": str(self.path), "WATCHDOG_USEC": str(round(seconds * 1_000_000))}

    async def told(self) -> str:
        """The next line that is neither STATUS nor WATCHDOG. Raises TimeoutError."""
        await self._until(lambda: len(self._changes()) > self._told)
        self._told += 1
        return self._changes()[self._told - 1]

    async def status(self, beginning: str) -> str:
        """The newest status that begins so, waited for. Raises TimeoutError."""

        def found() -> list[str]:
            return [line for line in self.lines if line.startswith(f"STATUS={beginning}")]

        await self._until(lambda: bool(found()))
        return found()[-1].removeprefix("STATUS=")

    def silent(self) -> bool:
        """Whether no change of state was said that has not been asked for."""
        return len(self._changes()) == self._told

    def longest_silence(self) -> float:
        """The longest time, in seconds, between two words to the watchdog, until now."""
        moments = [*self.fed_at, time.monotonic()]
        return max(later - earlier for earlier, later in itertools.pairwise(moments))

    def _changes(self) -> list[str]:
        return [line for line in self.lines if not line.startswith(("STATUS=", "WATCHDOG="))]

    def _hear(self) -> None:
        for line in self._socket.recv(4096).decode().split("\n"):
            self.lines.append(line)
            if line == "WATCHDOG=1":
                self.fed_at.append(time.monotonic())

    async def _until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(_SECONDS):
            while not is_so():
                await asyncio.sleep(0.02)
