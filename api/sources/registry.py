"""The sources by their schemes, and the one place where their failures become answers."""

import asyncio
import re
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Self

from api.errors import (
    ApiError,
    FetchFailed,
    FetchTimedOut,
    InvalidSource,
    NotAtSource,
    SourceRequired,
    UnknownScheme,
)
from api.names import parse_plugin_name
from api.sources.base import Limits, Resolved, Signed, Source, unpinned
from api.sources.github import GithubSource
from api.sources.local import LocalSource
from api.storage import storage_errors
from shared.errors import SettingsError
from shared.settings import Settings

ENTRY_POINTS = "healthsweep.sources"

_SIGNATURE_S = 15.0
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


class Sources:
    """Every source that this installation knows."""

    def __init__(self, sources: Iterable[Source], *, allow_unpinned: bool) -> None:
        """Raises SettingsError for a scheme that is none, and for a second source of one scheme."""
        self._allow_unpinned = allow_unpinned
        self._by_scheme: dict[str, Source] = {}
        for source in sources:
            if not _SCHEME.fullmatch(source.scheme):
                raise SettingsError(ENTRY_POINTS, f"has a source with the invalid scheme {source.scheme!r}")
            if source.scheme in self._by_scheme:
                raise SettingsError(
                    ENTRY_POINTS, f"has a second source for {source.scheme}://; uninstall one of them"
                )
            self._by_scheme[source.scheme] = source

    @classmethod
    def load(cls, settings: Settings, *, scratch: Path | None = None) -> Self:
        """`local`, `github` and the installed entry points; ours use `scratch`. Raises SettingsError."""
        ours: list[Source] = [
            LocalSource(settings.plugins_dir),
            GithubSource(
                settings.github_base_url, allow_unpinned=settings.plugin_allow_unpinned, scratch=scratch
            ),
        ]
        return cls([*ours, *_third_parties(settings)], allow_unpinned=settings.plugin_allow_unpinned)

    @property
    def schemes(self) -> list[str]:
        """Sorted."""
        return sorted(self._by_scheme)

    def resolve(self, source: str) -> Resolved:
        """What `source` means: it is trimmed, and a bare name is `local://name`. No I/O.

        Raises SourceRequired, InvalidSource, UnknownScheme, InvalidPluginName.
        """
        text = source.strip()
        if not text:
            raise SourceRequired
        scheme, separator, spec = text.partition("://")
        if not separator:
            scheme, spec = LocalSource.scheme, text
        scheme = scheme.lower()
        if not _SCHEME.fullmatch(scheme) or not spec:
            raise InvalidSource(hint='write "local://my-plugin" or "github://owner/repo#v1.2.0"')
        if scheme not in self._by_scheme:
            raise UnknownScheme(available_schemes=self.schemes)
        resolved = self._by_scheme[scheme].resolve(spec)
        parse_plugin_name(resolved.name)
        return resolved

    def require_pinned(self, resolved: Resolved) -> None:
        """Raises Unpinned for a source that names no version, unless PLUGIN_ALLOW_UNPINNED is on."""
        if not resolved.pinned and not self._allow_unpinned:
            raise unpinned(resolved)

    async def signature(self, resolved: Resolved) -> str | None:
        """A text that is another one when the plugin at its source is; None if that cannot be told."""
        source = self._by_scheme[resolved.scheme]
        if not isinstance(source, Signed):
            return None
        try:
            async with asyncio.timeout(_SIGNATURE_S):
                return await source.signature(resolved)
        except Exception:  # noqa: BLE001 - whatever it is, fetching will say so
            return None

    async def fetch(self, resolved: Resolved, into: Path, limits: Limits) -> None:
        """Put the plugin's content into the empty private directory `into`, within `limits`.

        Raises NotAtSource, FetchFailed, FetchTimedOut, Unpinned, PluginTooLarge, ContentRefused, StorageFull,
        each with the key `source`. What had been written by then is for the caller to remove.
        """
        try:
            with storage_errors():
                async with asyncio.timeout(limits.timeout):
                    await self._by_scheme[resolved.scheme].fetch(resolved, into, limits)
        except ApiError as exc:
            _tell(exc, resolved)
            raise
        except Exception as exc:  # a third party's source raises what it likes
            error = _as_api_error(exc)
            _tell(error, resolved)
            raise error from exc


def _as_api_error(exc: Exception) -> ApiError:
    match exc:
        case TimeoutError():
            return FetchTimedOut()
        case _:
            return FetchFailed()


def _tell(error: ApiError, resolved: Resolved) -> None:
    if isinstance(error, NotAtSource | FetchFailed | FetchTimedOut):
        error.message = f"failed to fetch plugin from {resolved.scheme}"
        error.args = (error.message,)
    error.keys.setdefault("source", resolved.source)


def _third_parties(settings: Settings) -> list[Source]:
    sources: list[Source] = []
    for entry_point in entry_points(group=ENTRY_POINTS):
        try:
            sources.append(entry_point.load()(settings))
        except Exception as exc:
            raise SettingsError(
                ENTRY_POINTS, f"has {entry_point.name!r}, which cannot be used ({type(exc).__name__})"
            ) from exc
    return sources
