"""An outage is told on its two edges, however often things fail in between."""

from shared.outage import Ended, Outage


class Clock:
    """Monotonic seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_only_the_first_failure_is_the_edge() -> None:
    outage = Outage()
    assert [outage.failed() for _ in range(4)] == [True, False, False, False]


def test_it_lasts_from_the_first_failure_to_the_first_success() -> None:
    clock = Clock()
    outage = Outage(clock)
    outage.failed()
    clock.now += 20
    outage.failed()
    clock.now += 22.5
    assert outage.ended() == Ended(42.5, failures=2)


def test_only_the_first_success_is_the_edge() -> None:
    outage = Outage(Clock())
    outage.failed()
    assert outage.ended() == Ended(0, failures=1)
    assert outage.ended() is None


def test_success_without_an_outage_is_no_news() -> None:
    assert Outage().ended() is None


def test_failures_are_counted_from_its_beginning() -> None:
    outage = Outage(Clock())
    for _ in range(3):
        outage.failed()
    assert outage.ended() == Ended(0, failures=3)
    outage.failed()
    assert outage.ended() == Ended(0, failures=1)


def test_it_is_true_while_it_lasts() -> None:
    outage = Outage()
    assert not outage
    outage.failed()
    assert outage
    outage.ended()
    assert not outage


def test_each_outage_has_its_own_length() -> None:
    clock = Clock()
    outage = Outage(clock)
    outage.failed()
    clock.now += 5
    outage.ended()
    clock.now += 100
    assert outage.failed()
    clock.now += 7
    assert outage.ended() == Ended(7, failures=1)


def test_one_that_begins_at_zero_on_the_clock_is_one_too() -> None:
    clock = Clock()
    clock.now = 0.0
    outage = Outage(clock)
    assert outage.failed()
    assert outage
    assert not outage.failed()
    assert outage.ended() == Ended(0, failures=2)
