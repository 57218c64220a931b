"""Lines that are still being written: files that grow and are rotated, pipes, the journal as it comes."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from deploy.command.triage.sources import LONGEST, Unreadable, is_piped, journalctl

_CHUNK = 1 << 18
_PAUSE_S = 0.25


class _Source(Protocol):
    @property
    def ended(self) -> bool:
        """Whether nothing will ever come any more."""

    def more(self) -> bytes:
        """What came since the last time; nothing if nothing did."""


class Tail:
    """A file that grows. If another one takes its name, the old one is read to its end, then the new one."""

    ended = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO = path.open("rb")

    def more(self) -> bytes:
        """What was appended; b"" if nothing was."""
        if chunk := self._file.read(_CHUNK):
            return chunk
        try:
            now, mine = self._path.stat(), os.fstat(self._file.fileno())
        except FileNotFoundError:  # between the two halves of a rotation
            return b""
        if (now.st_ino, now.st_dev) != (mine.st_ino, mine.st_dev):
            rest = self._file.read(_CHUNK)  # what was written to the old one meanwhile
            if not rest:
                self._file.close()
                self._file = self._path.open("rb")
            return rest or self._file.read(_CHUNK)
        if now.st_size < self._file.tell():  # emptied in place
            self._file.seek(0)
        return self._file.read(_CHUNK)

    def close(self) -> None:
        """Let it go."""
        self._file.close()


class Pipe:
    """What another program writes, while it does."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.ended = False

    def more(self) -> bytes:
        """What was written; b"" if nothing was, or it has ended."""
        if self.ended or not select.select([self._descriptor], [], [], 0)[0]:
            return b""
        chunk = os.read(self._descriptor, _CHUNK)
        self.ended = not chunk
        return chunk


@contextmanager
def growing(files: Sequence[str], since: float | None) -> Iterator[Iterator[bytes | None]]:
    """The lines that are there and those that come, from where `sources.lines` reads; None whenever there is
    none at the moment. It ends only where all that it reads has ended. Raises Unreadable, OSError."""
    with ExitStack() as stack:
        sources: list[_Source] = []
        for name in files or (["-"] if is_piped() else []):
            if name == "-":
                sources.append(Pipe(sys.stdin.fileno()))
            else:
                sources.append(stack.enter_context(closing(Tail(Path(name)))))
        if sources:
            yield _lines(sources)
        else:
            yield from _journal(since, stack)


def _journal(since: float | None, stack: ExitStack) -> Iterator[Iterator[bytes | None]]:
    command = journalctl(since, "--follow", "--no-tail")
    process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
    stack.callback(process.terminate)
    if process.stdout is None:
        raise Unreadable("journalctl has no output")
    pipe = Pipe(process.stdout.fileno())
    yield _lines([pipe])
    if pipe.ended and process.wait():
        raise Unreadable(f"journalctl ended with status {process.returncode}")


def _lines(sources: Sequence[_Source]) -> Iterator[bytes | None]:
    rests = [b""] * len(sources)
    while True:
        came = False
        for number, source in enumerate(sources):
            if chunk := source.more():
                came = True
                *whole, rest = (rests[number] + chunk).split(b"\n")
                yield from whole
                rests[number] = rest[-LONGEST:]
        if not came:
            if all(source.ended for source in sources):
                yield from filter(None, rests)
                return
            yield None
            time.sleep(_PAUSE_S)
