"""Medians and quartiles: what may be said of several measurements."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, and the quartiles on both sides of it."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, _, high = quantiles(values, n=4, method="inclusive")
        return cls(low, median(values), high)

    def shown(self, scale: Callable[[float], float]) -> "Spread":
        """The same on another scale, which may turn it upside down."""
        low, high = sorted([scale(self.low), scale(self.high)])
        return Spread(low, scale(self.median), high)


def ratio(theirs: Iterable[float], ours: Iterable[float]) -> Spread:
    """How many times more they took than we, round by round."""
    return Spread.of([their / our for their, our in zip(theirs, ours, strict=True)])
