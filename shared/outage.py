"""Remembers since when something is away, so that it is said on the edge, once, and not at every try."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from shared import metrics
from shared.errors import DatabaseUnavailable

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ended:
    """An outage that is over: its seconds, and how often it was noticed."""

    down_s: float
    failures: int


class Outage:
    """The present absence of one thing, if it is absent. Times are seconds of a monotonic clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        self._failures = 0

    def __bool__(self) -> bool:
        return self._began is not None

    def failed(self) -> bool:
        """Count a failure; True if it is the first one of this outage."""
        self._failures += 1
        if self._began is not None:
            return False
        self._began = self._clock()
        return True

    def ended(self) -> Ended | None:
        """Note that all is well; the outage if one ends with this."""
        if self._began is None:
            return None
        ended = Ended(self._clock() - self._began, self._failures)
        self._began, self._failures = None, 0
        return ended


class DatabaseOutage:
    """The absence of PostgreSQL, said in the log on both of its edges, and in the metric."""

    def __init__(self) -> None:
        self._outage = Outage()

    def __bool__(self) -> bool:
        return bool(self._outage)

    def failed(self, exc: DatabaseUnavailable) -> None:
        """It cannot be asked or written to."""
        metrics.DATABASE_UP.set(0)
        if self._outage.failed():
            log.warning("database.unreachable", detail=str(exc), failures=1)

    def ended(self) -> None:
        """It has just taken what was asked of it."""
        metrics.DATABASE_UP.set(1)
        if (ended := self._outage.ended()) is not None:
            log.info("database.recovered", down_s=round(ended.down_s, 1), failures=ended.failures)
