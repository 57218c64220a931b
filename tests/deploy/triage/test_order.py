"""The order of lines does not matter, and what is remembered of them stays small."""

import random
from bisect import bisect_right
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.command.triage.spans import Buckets, Extremes, Spans
from tests.deploy.triage.reading import json_of, of_situation, report_of
from tests.situations.play import SITUATIONS

MOMENTS = st.lists(st.integers(0, 2000).map(lambda tenths: tenths / 10), max_size=60)


@pytest.mark.parametrize("name", SITUATIONS)
def test_shuffled_lines_give_the_same_report(name: str) -> None:
    lines = of_situation(name)
    report = json_of(report_of(lines))
    for seed in range(5):
        assert json_of(report_of(random.Random(seed).sample(lines, len(lines)))) == report


@pytest.mark.parametrize("seed", range(3))
def test_all_situations_at_once_give_the_same_report_in_any_order(seed: int) -> None:
    lines = [line for name in SITUATIONS for line in of_situation(name)]
    shuffled = random.Random(seed).sample(lines, len(lines))
    assert json_of(report_of(shuffled)) == json_of(report_of(lines))


@given(MOMENTS, st.randoms(use_true_random=False))
def test_spans_are_what_hangs_together(moments: list[float], shuffler: random.Random) -> None:
    gap = 7.0
    expected: list[list[float]] = []
    for moment in sorted(moments):
        if expected and moment - expected[-1][-1] <= gap:
            expected[-1].append(moment)
        else:
            expected.append([moment])
    shuffler.shuffle(moments)
    spans = Spans(gap)
    for moment in moments:
        spans.add(moment, "even" if int(moment) % 2 == 0 else "odd", state=f"{moment}")
    assert [(span.first, span.last, span.count) for span in spans] == [
        (group[0], group[-1], len(group)) for group in expected
    ]
    for span, group in zip(spans, expected, strict=True):
        assert span.opening == (group[0], f"{group[0]}")
        assert span.closing == (group[-1], f"{group[-1]}")
        assert span.tallies == Counter("even" if int(moment) % 2 == 0 else "odd" for moment in group)
        assert min(span.since.values()) == group[0]


@given(MOMENTS, st.randoms(use_true_random=False))
def test_buckets_are_as_narrow_as_they_may_be(moments: list[float], shuffler: random.Random) -> None:
    most = 8
    width = 1
    while len({moment // width for moment in moments}) > most:
        width *= 2
    shuffler.shuffle(moments)
    buckets: Buckets[Counter[str]] = Buckets(most, make=Counter, merge=Counter.update)
    for moment in moments:
        buckets.at(moment)["seen"] += 1
    assert buckets.width == width
    expected = Counter(moment // width * width for moment in moments)
    assert {at: counts["seen"] for at, counts in buckets.items()} == expected
    inside = sum(counts["seen"] for counts in buckets.inside(20, 130))
    assert inside == sum(count for at, count in expected.items() if at >= 20 and at + width <= 130)


@given(st.lists(st.integers(0, 100), max_size=400))
def test_extremes_are_the_smallest(numbers: list[int]) -> None:
    extremes: Extremes[int] = Extremes(5, key=lambda number: number)
    for number in numbers:
        extremes.add(number)
    assert list(extremes) == sorted(numbers)[:5]
    assert extremes.dropped == max(0, len(numbers) - 5)


def test_a_span_for_each_gap_at_the_most() -> None:
    spans = Spans(60.0)
    moments = [random.Random(1).uniform(0, 3600) for _ in range(5000)]
    for moment in moments:
        spans.add(moment)
        assert len(spans) <= 3600 / 60 + 1
    assert bisect_right([span.first for span in spans], 3600) == len(spans)
