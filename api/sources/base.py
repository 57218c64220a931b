"""What a source of plugins is, for ours and for third parties'."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, TypeVar, runtime_checkable

from api.errors import Unpinned
from shared.settings import Settings

T = TypeVar("T")

MAX_FILES = 10_000

_GRACE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What fetching one plugin may take: bytes and files on disk, and seconds."""

    max_bytes: int
    max_files: int = MAX_FILES
    timeout: float

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The configured ones."""
        return cls(
            max_bytes=settings.plugin_install_max_dir_bytes, timeout=settings.plugin_install_fetch_timeout
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A source that was understood: `spec` is normalised, `name` the plugin's.

    `pinned`: the spec says which version is meant. Whether that version can move is found out by fetching.
    """

    scheme: str
    spec: str
    name: str
    pinned: bool

    @property
    def source(self) -> str:
        """The normalised text."""
        return f"{self.scheme}://{self.spec}"


def unpinned(resolved: Resolved) -> Unpinned:
    """The refusal of a source that does not say which version is meant, or means one that moves."""
    scheme = resolved.scheme
    return Unpinned(
        f'unpinned {scheme} source: append a tag or commit SHA (e.g. "{scheme}://owner/repo#v1.2.0"). '
        "Set PLUGIN_ALLOW_UNPINNED=true to override",
        source=resolved.source,
    )


class Source(Protocol):
    """One scheme. Entry points of the group `healthsweep.sources` are callables that make one of Settings."""

    @property
    def scheme(self) -> str:
        """The word before `://`, in lower case."""

    def resolve(self, spec: str) -> Resolved:
        """What `spec`, the text after `://`, means; no I/O. Raises InvalidSource, InvalidPluginName."""

    async def fetch(self, resolved: Resolved, into: Path, limits: Limits) -> None:
        """Put the content of the plugin's root into the empty private directory `into`.

        It ends when cancelled, and nothing of it writes to `into` afterwards. Its error in api.errors says
        what became of it: NotAtSource, FetchFailed, Unpinned, PluginTooLarge, ContentRefused; any other
        exception counts as FetchFailed. The limits hold while it fetches; the deadline is kept for it.
        """


@runtime_checkable
class Signed(Protocol):
    """A source that can tell, without fetching, whether what it would fetch is still the same."""

    async def signature(self, resolved: Resolved) -> str | None:
        """A text that is another one when the content is; None, or any exception, if that is not known."""


async def in_thread(work: Callable[[], T], *, cancel: Callable[[], None]) -> T:
    """What `work` answers, from a thread. When cancelled, call `cancel` and wait until the work has ended."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        cancel()
        running.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait([running], timeout=_GRACE_S)
        raise
