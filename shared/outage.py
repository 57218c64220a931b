"""Remembers since when something is away, so that it is said on the edge, once, and not at every try."""

import time
from collections.abc import Callable


class Outage:
    """The present absence of one thing, if it is absent. Times are seconds of a monotonic clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        self.failures = 0

    def __bool__(self) -> bool:
        return self._began is not None

    def failed(self) -> bool:
        """Count a failure; True if it is the first one of this outage."""
        self.failures += 1
        if self._began is not None:
            return False
        self._began = self._clock()
        return True

    def ended(self) -> float | None:
        """Note that all is well; the seconds that the outage lasted if it ends with this, else None."""
        if self._began is None:
            return None
        lasted = self._clock() - self._began
        self._began, self.failures = None, 0
        return lasted
