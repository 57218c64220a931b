"""What is remembered of many moments, in whatever order they come, in less room than they take.

Both forms end up the same for every order of the same moments, which is why input need not be sorted:
a span is what hangs together with gaps of at most so long, and a bucket is as wide as it must be for all
buckets to fit.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Span:
    """Moments (seconds) that hang together, counted; `since` is when each count began.

    `opening` and `closing` are the first and last states in it.
    """

    first: float
    last: float
    count: int = 0
    tallies: Counter[str] = field(default_factory=Counter)
    since: dict[str, float] = field(default_factory=dict)
    opening: tuple[float, str] | None = None
    closing: tuple[float, str] | None = None

    def absorb(self, other: "Span") -> None:
        """Make one of both."""
        self.first = min(self.first, other.first)
        self.last = max(self.last, other.last)
        self.count += other.count
        self.tallies.update(other.tallies)
        for tally, at in other.since.items():
            self.since[tally] = min(at, self.since.get(tally, at))
        if other.opening and other.closing:
            self.opening = min(self.opening or other.opening, other.opening)
            self.closing = max(self.closing or other.closing, other.closing)


class Spans:
    """The spans of moments that are at most `gap` seconds apart: one for each `gap` of time at the most."""

    def __init__(self, gap: float) -> None:
        self._gap = gap
        self._spans: list[Span] = []

    def __iter__(self) -> Iterator[Span]:
        return iter(self._spans)

    def __len__(self) -> int:
        return len(self._spans)

    def add(self, at: float, *tallies: str, state: str | None = None) -> None:
        """One more moment, with what is to be counted of it and, perhaps, the state that begins with it."""
        spans = self._spans
        if not (spans and spans[-1].first <= at):
            self._insert(at)
        elif at - spans[-1].last > self._gap:
            spans.append(Span(at, at))
        span = spans[-1] if spans[-1].first <= at else self._around(at)
        span.last = max(span.last, at)
        span.count += 1
        for tally in tallies:
            span.tallies[tally] += 1
            if at < span.since.get(tally, math.inf):
                span.since[tally] = at
        if state is not None:
            moment = (at, state)
            span.opening = min(span.opening or moment, moment)
            span.closing = max(span.closing or moment, moment)

    def _around(self, at: float) -> Span:
        return self._spans[bisect_right(self._spans, at, key=attrgetter("first")) - 1]

    def _insert(self, at: float) -> None:
        """Make room for a moment before the last span: a span of its own, grown into its neighbours."""
        spans = self._spans
        here = bisect_right(spans, at, key=attrgetter("first"))
        spans.insert(here, Span(at, at))
        for left in (here, here - 1):  # the right neighbour first: its place does not change
            if 0 <= left < len(spans) - 1 and spans[left + 1].first - spans[left].last <= self._gap:
                spans[left].absorb(spans.pop(left + 1))


class Buckets(Generic[T]):
    """Something for each second; for each 2, 4, 8, ... seconds once there would be more than `most`.

    `make` begins one, `merge` adds the second of two to the first.
    """

    def __init__(self, most: int, *, make: Callable[[], T], merge: Callable[[T, T], object]) -> None:
        self._most = most
        self._make = make
        self._merge = merge
        self._buckets: dict[int, T] = {}
        self.width = 1
        """Seconds."""

    def at(self, moment: float) -> T:
        """The bucket of this moment, to be filled."""
        bucket = self._buckets.get(int(moment // self.width))
        return self._new(moment) if bucket is None else bucket

    def _new(self, moment: float) -> T:
        while len(self._buckets) >= self._most and moment // self.width not in self._buckets:
            before, self._buckets = self._buckets, {}
            self.width *= 2
            for index, bucket in before.items():
                if (there := self._buckets.setdefault(index // 2, bucket)) is not bucket:
                    self._merge(there, bucket)
        return self._buckets.setdefault(int(moment // self.width), self._make())

    def items(self) -> Iterator[tuple[float, T]]:
        """When each begins, and what is in it, the earliest first."""
        for index in sorted(self._buckets):
            yield index * self.width, self._buckets[index]

    def inside(self, began: float, ended: float) -> Iterator[T]:
        """Those that lie wholly between two moments, in no order."""
        first, end = math.ceil(began / self.width), ended // self.width
        if end - first < len(self._buckets):
            wanted: Iterable[int] = range(first, int(end))
        else:
            wanted = (index for index in self._buckets if first <= index < end)
        return (self._buckets[index] for index in wanted if index in self._buckets)


class Extremes(Generic[T]):
    """The `most` smallest by `key` of all that were added, in whatever order."""

    def __init__(self, most: int, key: Callable[[T], object]) -> None:
        self._most = most
        self._key = key
        self._kept: list[T] = []
        self.dropped = 0
        """How many there were beside."""

    def add(self, value: T) -> None:
        """One more."""
        self._kept.append(value)
        if len(self._kept) > 2 * self._most + 100:
            self._trim()

    def _trim(self) -> None:
        self._kept.sort(key=self._key)  # type: ignore[arg-type] # keys that compare with each other
        self.dropped += max(0, len(self._kept) - self._most)
        del self._kept[self._most :]

    def __iter__(self) -> Iterator[T]:
        self._trim()
        return iter(self._kept)
