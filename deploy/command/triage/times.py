"""Moments and durations, as they are read from a command line and shown to people; all in UTC."""

import re
from datetime import UTC, datetime, timedelta

from shared.errors import HealthsweepError
from shared.moments import rfc3339

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d)?")


class NoTime(HealthsweepError):
    """A text that is neither a duration nor a time."""


def since(text: str, now: datetime) -> float:
    """The moment that `text` means: so long before `now`, or a time; one without a zone is in UTC.

    Raises NoTime.
    """
    text = text.strip()
    try:
        if found := _DURATION.fullmatch(text):
            return (now - timedelta(seconds=float(found[1]) * _SECONDS[found[2]])).timestamp()
        if _CLOCK.fullmatch(text):  # the last time that a clock showed this
            today = datetime.fromisoformat(f"{now.astimezone(UTC):%Y-%m-%d}T{text.zfill(5)}+00:00")
            return (today if today <= now else today - timedelta(days=1)).timestamp()
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as exc:
        raise NoTime(
            f"{text!r} is neither a duration, such as 30m, nor a time, such as 10:02 or 2026-05-04T10:02Z"
        ) from exc


def moment(at: float) -> str:
    """RFC 3339, with milliseconds."""
    return rfc3339(datetime.fromtimestamp(at, UTC))


def day(at: float) -> str:
    """The date."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def clock(at: float) -> str:
    """Hours, minutes and seconds."""
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"


def lasting(seconds: float) -> str:
    """A duration in its two largest units: `2 m 51 s`."""
    rest = round(seconds)
    if rest < 1:
        return "under 1 s"
    said = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, rest = divmod(rest, length)
        if number:
            said.append(f"{number} {unit}")
        elif said:
            break
    return " ".join(said[:2])
