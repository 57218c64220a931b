"""The cache of archives: built once, never stale, bounded, and never dropped from under whoever waits."""

import asyncio
import io
import os
import shutil
import tarfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from api.app import prepare_directories
from api.downloads import ArchiveCache
from api.errors import NotAtSource
from api.plugins.install import Fetcher
from api.sources import Limits, Resolved, Sources
from shared.settings import Settings

LIMITS = Limits(max_bytes=2**22, timeout=30)


@dataclass
class Shelf:
    """A source whose every fetch is counted, and takes until `go` is set; its plugins are their contents.

    What has not `settled` has no signature. `look` is called when a signature is asked for.
    """

    scheme: str = "shelf"
    contents: dict[str, bytes] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    settled: bool = True
    go: asyncio.Event = field(default_factory=asyncio.Event)
    look: Callable[[], None] = lambda: None

    def resolve(self, spec: str) -> Resolved:
        return Resolved(scheme=self.scheme, spec=spec, name=spec, pinned=True)

    async def fetch(self, resolved: Resolved, into: Path, limits: Limits) -> None:
        assert limits is LIMITS
        self.fetched.append(resolved.name)
        if resolved.name not in self.contents:
            raise NotAtSource
        (into / "content").write_bytes(self.contents[resolved.name])
        await self.go.wait()

    async def signature(self, resolved: Resolved) -> str | None:
        await asyncio.sleep(0)
        self.look()
        return str(hash(self.contents.get(resolved.name))) if self.settled else None


class Cache:
    """An ArchiveCache of a Shelf, with room for `rooms` archives of a thousand bytes of noise."""

    def __init__(self, directory: Path, rooms: float = 100) -> None:
        self.shelf = Shelf()
        self.shelf.go.set()
        self.directory = directory / "cache"
        self.staging = directory / "staging"
        self.staging.mkdir()
        sources = Sources([self.shelf], allow_unpinned=False)
        self.cache = ArchiveCache(
            fetcher=Fetcher(sources=sources, limits=LIMITS, directory=self.staging),
            sources=sources,
            directory=self.directory,
            max_bytes=int(rooms * 1200),
        )

    def put(self, *names: str) -> None:
        self.shelf.contents |= {name: os.urandom(1000) for name in names}

    async def get(self, name: str) -> bytes:
        """The plugin's content, as whoever downloads it gets it."""
        archive, file = await self.cache.opened(self.shelf.resolve(name))
        with file:
            packed = file.read()
        assert len(packed) == archive.size_bytes
        return _unpacked(packed)

    @property
    def files(self) -> int:
        return len(list(self.directory.iterdir()))


def _unpacked(packed: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        file = tar.extractfile("content")
        return file.read() if file else b""


CacheOf = Callable[..., Cache]


@pytest.fixture
def cache_of(tmp_path: Path) -> CacheOf:
    return lambda **options: Cache(tmp_path, **options)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_sixteen_at_once_are_one_build(cache_of: CacheOf) -> None:
    cache = cache_of()
    cache.put("p")
    cache.shelf.go.clear()
    waiting = [asyncio.create_task(cache.get("p")) for _ in range(16)]
    await until(lambda: cache.shelf.fetched)
    await asyncio.sleep(0.05)
    cache.shelf.go.set()
    assert set(await asyncio.gather(*waiting)) == {cache.shelf.contents["p"]}
    assert await cache.get("p") == cache.shelf.contents["p"]
    assert cache.shelf.fetched == ["p"]
    assert cache.files == 1


async def test_what_may_have_changed_since_a_build_began_is_built_anew_once(cache_of: CacheOf) -> None:
    cache = cache_of()
    cache.shelf.settled = False
    cache.put("p")
    cache.shelf.go.clear()
    early = asyncio.create_task(cache.get("p"))
    await until(lambda: cache.shelf.fetched)
    before = cache.shelf.contents["p"]
    await until(lambda: any(path.name == "content" for path in cache.staging.rglob("*")))
    cache.put("p")
    late = [asyncio.create_task(cache.get("p")) for _ in range(16)]
    await asyncio.sleep(0.05)
    cache.shelf.go.set()
    assert await early == before
    assert set(await asyncio.gather(*late)) == {cache.shelf.contents["p"]}
    assert cache.shelf.fetched == ["p", "p"]


async def test_what_changes_during_a_build_is_not_found_again(cache_of: CacheOf) -> None:
    cache = cache_of()
    cache.put("p")
    cache.shelf.look = lambda: cache.put("p") if len(cache.shelf.fetched) == 1 else None
    await cache.get("p")
    cache.shelf.look = lambda: None
    assert await cache.get("p") == cache.shelf.contents["p"]
    assert cache.shelf.fetched == ["p", "p"]


async def test_a_failure_is_everybodys_and_nobodys_after_them(cache_of: CacheOf) -> None:
    cache = cache_of()
    results = await asyncio.gather(*(cache.get("p") for _ in range(4)), return_exceptions=True)
    assert [type(result) for result in results] == 4 * [NotAtSource]
    cache.put("p")
    assert await cache.get("p") == cache.shelf.contents["p"]
    assert cache.files == 1
    assert list(cache.staging.iterdir()) == []


async def test_the_least_recently_used_goes(cache_of: CacheOf) -> None:
    cache = cache_of(rooms=3.5)
    cache.put(*"abcd")
    for name in "abcad":
        await cache.get(name)
    assert cache.shelf.fetched == [*"abcd"]
    assert cache.files == 3
    for name in "acdb":
        await cache.get(name)
    assert cache.shelf.fetched == [*"abcdb"]
    assert cache.files == 3


async def test_one_that_is_larger_than_the_cache_is_kept_until_the_next(cache_of: CacheOf) -> None:
    cache = cache_of(rooms=0.5)
    cache.put(*"ab")
    for name in "aabb":
        assert await cache.get(name) == cache.shelf.contents[name]
    assert cache.shelf.fetched == [*"ab"]
    assert cache.files == 1


@pytest.mark.parametrize("settled", [True, False])
async def test_nobody_loses_what_he_waits_for_to_another(cache_of: CacheOf, settled: bool) -> None:
    cache = cache_of(rooms=1.5)
    cache.shelf.settled = settled
    names = [f"p{number}" for number in range(12)]
    cache.put(*names)
    for _ in range(2):
        contents = await asyncio.gather(*(cache.get(name) for name in names for _ in range(3)))
        assert contents == [cache.shelf.contents[name] for name in names for _ in range(3)]
    assert cache.files == 1


async def test_who_has_it_open_ends_undisturbed(cache_of: CacheOf) -> None:
    cache = cache_of(rooms=1)
    cache.put(*"ab")
    archive, file = await cache.cache.opened(cache.shelf.resolve("a"))
    await cache.get("b")
    assert not archive.path.exists()
    with file:
        assert _unpacked(file.read()) == cache.shelf.contents["a"]


async def test_the_same_content_is_one_file_which_stays_while_one_needs_it(cache_of: CacheOf) -> None:
    cache = cache_of(rooms=2.5)
    cache.put(*"ac")
    cache.shelf.contents["b"] = cache.shelf.contents["a"]
    await cache.get("a")
    await cache.get("b")
    assert cache.files == 1
    await cache.get("c")
    cache.put("d")
    await cache.get("d")
    assert await cache.get("b") == cache.shelf.contents["a"]


async def test_without_signatures_the_index_does_not_grow(cache_of: CacheOf) -> None:
    cache = cache_of()
    cache.shelf.settled = False
    cache.put("p")
    for _ in range(20):
        await cache.get("p")
    assert len(cache.cache._archives) == cache.files == 1


async def test_a_file_that_is_gone_is_built_again(cache_of: CacheOf) -> None:
    cache = cache_of()
    cache.put("p")
    archive, file = await cache.cache.opened(cache.shelf.resolve("p"))
    file.close()
    archive.path.unlink()
    assert await cache.get("p") == cache.shelf.contents["p"]


async def test_a_build_goes_on_when_whoever_asked_first_has_gone(cache_of: CacheOf) -> None:
    cache = cache_of()
    cache.put("p")
    cache.shelf.go.clear()
    first = asyncio.create_task(cache.get("p"))
    await until(lambda: cache.shelf.fetched)
    second = asyncio.create_task(cache.get("p"))
    await asyncio.sleep(0.02)
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    cache.shelf.go.set()
    assert await second == cache.shelf.contents["p"]
    assert cache.shelf.fetched == ["p"]


def test_what_an_earlier_process_left_is_dropped_at_start(tmp_path: Path) -> None:
    settings = Settings(healthsweep_home=tmp_path, plugins_dir=tmp_path / "plugins")
    for name in ("staging/p.1/tree", "cache/unfinished.1"):
        (tmp_path / name).mkdir(parents=True)
    prepare_directories(settings, emptied=(tmp_path / "staging", tmp_path / "cache"))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["cache", "plugins", "staging"]


async def test_a_directory_that_was_taken_away_is_made_again(cache_of: CacheOf) -> None:
    cache = cache_of()
    cache.put("p", "q")
    await cache.get("p")
    shutil.rmtree(cache.directory)
    shutil.rmtree(cache.staging)
    assert await cache.get("p") == cache.shelf.contents["p"]
    assert await cache.get("q") == cache.shelf.contents["q"]
