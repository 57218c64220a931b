"""The registry of sources: what a text means, what order errors have, and third parties' sources."""

import asyncio
import errno
import sys
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api.errors import (
    ApiError,
    ContentRefused,
    FetchFailed,
    FetchTimedOut,
    InvalidPluginName,
    InvalidSource,
    NotAtSource,
    PluginTooLarge,
    SourceRequired,
    StorageFull,
    UnknownScheme,
    Unpinned,
)
from api.names import is_plugin_name, parse_plugin_name
from api.sources import Limits, Resolved, Sources
from shared.errors import SettingsError
from shared.settings import Settings

LIMITS = Limits(max_bytes=1000, timeout=5)


SOURCES = Sources.load(Settings(plugins_dir=Path("/nonexistent")))


@pytest.fixture
def sources() -> Sources:
    return SOURCES


class Shelf:
    """A third party's source, whose fetch does as it is told."""

    scheme: ClassVar[str] = "shelf"

    def __init__(self, outcome: Exception | None = None) -> None:
        self.outcome = outcome

    def resolve(self, spec: str) -> Resolved:
        return Resolved(scheme=self.scheme, spec=spec, name=spec, pinned=spec != "loose")

    async def fetch(self, resolved: Resolved, into: Path, limits: Limits) -> None:
        if self.outcome:
            raise self.outcome
        (into / resolved.name).write_bytes(b"%d" % limits.max_bytes)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("plugin", "local://plugin"),
        ("  plugin\n", "local://plugin"),
        ("local://plugin", "local://plugin"),
        ("LOCAL://Plugin", "local://Plugin"),
        ("github://Owner/repo.git#v1", "github://Owner/repo#v1"),
        (" github://o/r ", "github://o/r"),
    ],
)
def test_what_a_text_means(sources: Sources, text: str, source: str) -> None:
    resolved = sources.resolve(text)
    assert resolved.source == source
    assert sources.resolve(resolved.source) == resolved


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", SourceRequired, '\'source\' is required (e.g. "local://my-plugin" or "github://owner/repo")'),
        (" \n", SourceRequired, '\'source\' is required (e.g. "local://my-plugin" or "github://owner/repo")'),
        ("://x", InvalidSource, "invalid plugin source"),
        ("local://", InvalidSource, "invalid plugin source"),
        ("github://", InvalidSource, "invalid plugin source"),
        ("gitlab://", InvalidSource, "invalid plugin source"),
        ("git hub://o/r", InvalidSource, "invalid plugin source"),
        ("github://o", InvalidSource, "invalid plugin source"),
        ("github://o/r#-x", InvalidSource, "invalid plugin source"),
        ("gitlab://o/r", UnknownScheme, "failed to resolve plugin source"),
        ("https://github.com/o/r", UnknownScheme, "failed to resolve plugin source"),
        ("file:///etc", UnknownScheme, "failed to resolve plugin source"),
        ("local://../etc", InvalidPluginName, "invalid plugin name"),
        ("owner/repo", InvalidPluginName, "invalid plugin name"),
        ("github://o/.github#v1", InvalidPluginName, "invalid plugin name"),
    ],
)
def test_texts_that_mean_nothing(sources: Sources, text: str, error: type[ApiError], message: str) -> None:
    with pytest.raises(error) as caught:
        sources.resolve(text)
    assert type(caught.value) is error
    assert caught.value.message == message


def test_an_unknown_scheme_names_the_known_ones(sources: Sources) -> None:
    with pytest.raises(UnknownScheme) as caught:
        sources.resolve("gitlab://o/r")
    assert caught.value.keys == {"available_schemes": ["github", "local"]}


@settings(max_examples=300, deadline=None, database=None)
@given(
    st.text()
    | st.from_regex(r"(local|github|x)://[a-zA-Z0-9./#_-]*", fullmatch=True)
    | st.from_regex(r"github://[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+(#[\w./-]+)?", fullmatch=True)
)
@example("github://\ud800/r#\ud800")
@example("\ud800")
def test_every_text_means_something_or_is_refused(text: str) -> None:
    sources = SOURCES
    try:
        resolved = sources.resolve(text)
    except (SourceRequired, InvalidSource, UnknownScheme, InvalidPluginName):
        return
    assert sources.resolve(resolved.source) == resolved
    assert is_plugin_name(resolved.name)
    resolved.source.encode()


@settings(max_examples=300, deadline=None, database=None)
@given(st.text(max_size=200) | st.text("aA0._-/\n", max_size=130))
@example("a\n")
@example("a" * 128)
@example("a" * 129)
@example("a..b")
@example("\N{ARABIC-INDIC DIGIT ZERO}")
def test_names(text: str) -> None:
    alphabet = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    valid = 0 < len(text) <= 128 and set(text) <= alphabet and text[0] not in "._-" and ".." not in text
    assert is_plugin_name(text) == valid
    if valid:
        assert parse_plugin_name(text) == text
    else:
        with pytest.raises(InvalidPluginName):
            parse_plugin_name(text)


def test_pins(sources: Sources) -> None:
    with pytest.raises(Unpinned) as caught:
        sources.require_pinned(sources.resolve("github://owner/repo"))
    assert caught.value.message == (
        'unpinned github source: append a tag or commit SHA (e.g. "github://owner/repo#v1.2.0"). '
        "Set PLUGIN_ALLOW_UNPINNED=true to override"
    )
    assert caught.value.keys == {"source": "github://owner/repo"}
    sources.require_pinned(sources.resolve("github://owner/repo#main"))
    sources.require_pinned(sources.resolve("local://plugin"))
    loose = Sources.load(Settings(plugins_dir=Path("/nonexistent"), plugin_allow_unpinned=True))
    loose.require_pinned(loose.resolve("github://owner/repo"))


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (NotAtSource(), NotAtSource),
        (FetchFailed(hint="a hint"), FetchFailed),
        (PluginTooLarge(), PluginTooLarge),
        (ContentRefused("symbolic link", "x"), ContentRefused),
        (TimeoutError(), FetchTimedOut),
        (OSError(errno.ENOSPC, "/a/path of the host"), StorageFull),
        (OSError(errno.EDQUOT, "/a/path of the host"), StorageFull),
        (OSError(errno.EACCES, "/a/path of the host"), FetchFailed),
        (KeyError("a token"), FetchFailed),
    ],
)
async def test_whatever_a_source_raises_is_an_answer(
    tmp_path: Path, outcome: Exception, error: type[ApiError]
) -> None:
    known = Sources([Shelf(outcome)], allow_unpinned=False)
    with pytest.raises(error) as caught:
        await known.fetch(known.resolve("shelf://box"), tmp_path, LIMITS)
    assert type(caught.value) is error
    assert caught.value.keys["source"] == "shelf://box"
    body = str((caught.value.message, caught.value.keys))
    assert "a path of the host" not in body
    assert "a token" not in body
    if error in (NotAtSource, FetchFailed, FetchTimedOut):
        assert caught.value.message == str(caught.value) == "failed to fetch plugin from shelf"


async def test_a_source_that_hangs_is_left(tmp_path: Path) -> None:
    class Hanging(Shelf):
        async def fetch(self, resolved: Resolved, into: Path, limits: Limits) -> None:
            await asyncio.sleep(60)

        async def signature(self, _: Resolved) -> str | None:
            raise ConnectionError

    known = Sources([Hanging()], allow_unpinned=False)
    with pytest.raises(FetchTimedOut):
        await known.fetch(known.resolve("shelf://box"), tmp_path, Limits(max_bytes=1, timeout=0.05))
    assert await known.signature(known.resolve("shelf://box")) is None


async def test_a_source_without_signatures_has_none(tmp_path: Path) -> None:
    known = Sources([Shelf()], allow_unpinned=False)
    resolved = known.resolve("shelf://box")
    assert await known.signature(resolved) is None
    await known.fetch(resolved, tmp_path, LIMITS)
    assert (tmp_path / "box").read_bytes() == b"1000"


def test_a_third_party_s_name_is_held_to_the_rule() -> None:
    with pytest.raises(InvalidPluginName):
        Sources([Shelf()], allow_unpinned=False).resolve("shelf://../x")


# ---- entry points, as an installed distribution brings them


MODULE = """
from pathlib import Path
from api.sources import Limits, Resolved

class Shelf:
    def __init__(self, settings):
        self.scheme = "%s"
        self.settings = settings
    def resolve(self, spec):
        return Resolved(scheme=self.scheme, spec=spec, name=spec, pinned=True)
    async def fetch(self, resolved, into, limits):
        (into / "file").write_text(str(self.settings.plugins_dir))

def broken(settings):
    raise RuntimeError
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "shelf_of_a_third_party", raising=False)
    return tmp_path


def install(site: Path, *, scheme: str, target: str) -> None:
    (site / "shelf_of_a_third_party.py").write_text(MODULE % scheme)
    information = site / "shelf-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: shelf\nVersion: 1\n")
    (information / "entry_points.txt").write_text(
        f"[healthsweep.sources]\nshelf = shelf_of_a_third_party:{target}\n"
    )


async def test_a_third_party_s_source_is_used(installed: Path) -> None:
    install(installed, scheme="shelf", target="Shelf")
    known = Sources.load(Settings(plugins_dir=Path("/plugins")))
    assert known.schemes == ["github", "local", "shelf"]
    into = installed / "into"
    into.mkdir()
    await known.fetch(known.resolve("shelf://box"), into, LIMITS)
    assert (into / "file").read_text() == "/plugins"


@pytest.mark.parametrize(
    ("scheme", "target", "problem"),
    [
        ("github", "Shelf", "second source for github://"),
        ("Shelf", "Shelf", "invalid scheme"),
        ("shelf", "broken", "'shelf', which cannot be used (RuntimeError)"),
        ("shelf", "absent", "'shelf', which cannot be used (AttributeError)"),
    ],
)
def test_what_cannot_be_used_is_refused_at_start(
    installed: Path, scheme: str, target: str, problem: str
) -> None:
    install(installed, scheme=scheme, target=target)
    with pytest.raises(SettingsError) as caught:
        Sources.load(Settings())
    assert str(caught.value).startswith("healthsweep.sources ")
    assert problem in str(caught.value)


def test_limits_are_the_configured_ones() -> None:
    limits = Limits.of(Settings(plugin_install_max_dir_bytes=7, plugin_install_fetch_timeout=3))
    assert limits == Limits(max_bytes=7, max_files=10_000, timeout=3)
