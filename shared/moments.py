"""How a moment is written wherever programs read it."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """`moment` as RFC 3339, in UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain(value: object) -> str:
    """What JSON has no word for: a moment as above, anything else as its text."""
    return rfc3339(value) if isinstance(value, datetime) else str(value)
