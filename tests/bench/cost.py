"""What a piece of work costs: wall time, and the CPU time of everyone who takes part in it."""

import asyncio
import contextlib
import gc
import resource
import time
from collections.abc import Awaitable, Callable
from dataclasses import astuple, dataclass
from typing import Self

from tests.support.remains import descendants

_SETTLE_S = 0.05


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds: on the wall, and of CPU (user and system).

    The client is who does the work; the engine and PostgreSQL are who it asks.
    """

    wall_ms: float
    client_ms: float
    engine_ms: float
    database_ms: float

    @property
    def cpu_ms(self) -> float:
        """The client's and the engine's together; the database's is told apart."""
        return self.client_ms + self.engine_ms

    def __sub__(self, other: Self) -> Self:
        pairs = zip(astuple(self), astuple(other), strict=True)
        return type(self)(*(round(mine - theirs, 3) for mine, theirs in pairs))


class Meter:
    """Measures work with an engine and a database, known by their pids."""

    def __init__(self, *, engine_pid: int, database_pid: int) -> None:
        self._engine_pid = engine_pid
        self._database_pid = database_pid

    async def cost(self, work: Callable[[], Awaitable[object]], *, client_pid: int | None = None) -> Cost:
        """What it costs to await `work()` once; the client is this process, or the one that is named.

        Nobody pays for another's work: garbage is collected before, and the engine has a moment, before and
        after, to finish what it does behind its answers.
        """
        gc.collect()
        await asyncio.sleep(_SETTLE_S)
        engine, database = _clocks(self._engine_pid), _clocks(self._database_pid)
        client, began = _client_clock(client_pid), time.perf_counter()
        await work()
        wall, client = time.perf_counter() - began, _client_clock(client_pid) - client
        await asyncio.sleep(_SETTLE_S)
        return Cost(
            wall_ms=round(wall * 1000, 3),
            client_ms=round(client * 1000, 3),
            engine_ms=_since(engine, self._engine_pid),
            database_ms=_since(database, self._database_pid),
        )


def _client_clock(pid: int | None) -> float:
    """Seconds of CPU of that process; of this one also of what it ran to its end."""
    if pid is not None:
        return _clock(pid) / 1e9
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _clocks(pid: int) -> dict[int, int]:
    """The CPU clock (nanoseconds) of a process and of each of its descendants."""
    clocks = {}
    for each in (pid, *descendants(pid)):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            clocks[each] = _clock(each)
    return clocks


def _clock(pid: int) -> int:
    """Nanoseconds of CPU of that process.

    /proc/PID/stat counts hundredths of a second, more than a small sweep takes; this clock is exact.
    """
    return time.clock_gettime_ns((~pid << 3) | 2)  # clock_getcpuclockid(3) of Linux


def _since(before: dict[int, int], pid: int) -> float:
    spent = sum(clock - before.get(each, 0) for each, clock in _clocks(pid).items())
    return round(spent / 1e6, 3)
