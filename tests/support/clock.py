"""A clock that a test may set, for programs that it starts. Their monotonic clock stays right.

clock = FakeClock(directory)
ServiceProcess("sweeper", {..., **clock.environment})
clock.jump(3600)            from now on it is an hour later for them
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.remains import living

_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


class FakeClock:
    """libfaketime (Debian's package faketime), told by a file in `directory` what time it is."""

    def __init__(self, directory: Path) -> None:
        if not _LIBRARIES:
            raise RuntimeError("libfaketime is not installed: apt-get install faketime")
        self._file = directory / "clock"
        self.jump(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove what the library leaves in /dev/shm, for every program that was started by exec."""
        pids = living()
        for path in Path("/dev/shm").glob("*faketime_*_*"):
            if int(path.name.rpartition("_")[2]) not in pids:
                path.unlink(missing_ok=True)

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "LD_PRELOAD": str(_LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, seconds: float) -> None:
        """Be `seconds` ahead of the real time from now on, or behind it where negative."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+f}\n")
        new.replace(self._file)
