"""What a check finds, and how checks are run: each within its time, and none of them breaks the others."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from deploy.handbook import Entry
from shared.errors import DatabaseUnavailable, SchemaError

Mark = Literal["ok", "warning", "failed", "skipped"]

_DEADLINE_S = 15.0


@dataclass(frozen=True, slots=True)
class Finding:
    """`mend` is the command that helps, or what to do where no command does; `entry` where to read on."""

    mark: Mark
    says: str
    mend: str | None = None
    entry: Entry | None = None


def ok(says: str) -> Finding:
    """All is well."""
    return Finding("ok", says)


def warning(says: str, mend: str, entry: Entry | None = None) -> Finding:
    """It works, and somebody should look."""
    return Finding("warning", says, mend, entry)


def failed(says: str, mend: str, entry: Entry | None = None) -> Finding:
    """It does not work."""
    return Finding("failed", says, mend, entry)


def skipped(says: str) -> Finding:
    """It cannot be told here, and `says` is why."""
    return Finding("skipped", says)


def counted(number: int, noun: str) -> str:
    """The number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at."""

    name: str
    look: Callable[[], Awaitable[Finding]]


@dataclass(frozen=True, slots=True)
class Found:
    """A check by its name, with what it found."""

    name: str
    finding: Finding


async def examine(checks: Iterable[Check], *, deadline_s: float = _DEADLINE_S) -> list[Found]:
    """Look at everything side by side; the findings in the order of the checks."""
    return list(await asyncio.gather(*(_look(check, deadline_s) for check in checks)))


async def _look(check: Check, deadline_s: float) -> Found:
    try:
        async with asyncio.timeout(deadline_s):
            return Found(check.name, await check.look())
    except TimeoutError:
        finding = failed(
            f"no answer within {deadline_s:g} s", "see what hangs: the disk, a name server, systemd?"
        )
    except (DatabaseUnavailable, SchemaError) as exc:
        finding = skipped(f"it needs the database ({exc})")
    except Exception as exc:  # noqa: BLE001 - a check that crashes must not hide what the others find
        finding = failed(f"this check crashed ({type(exc).__name__}: {exc})", "report this line", Entry.BUG)
    return Found(check.name, finding)
