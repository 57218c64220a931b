"""A registry that changes while it is read, and how a change is noticed."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from api.errors import ContentRefused, FetchTimedOut
from api.manifests import Manifest
from api.reading import Reader
from api.sources import Limits, Sources
from api.sources.local import LocalSource, registered_plugins
from api.trees import Listing
from tests.api.sources.local import (
    SECRET,
    a_device,
    a_hard_link,
    a_pipe,
    a_symlink,
    a_symlinked_directory,
    fetch,
    state,
)


def test_a_file_that_grows_or_shrinks_meanwhile_is_refused(plugin: Path) -> None:
    for change, left in ((b"more", b"1234"), (b"", b"")):
        (plugin / "file").write_bytes(b"1234")
        with Reader(plugin) as reader:
            entries = reader.scan(Listing(max_bytes=100, max_files=100))
            with (plugin / "file").open("ab") as file:
                file.write(change) if change else file.truncate(0)
            read: list[bytes] = []
            with pytest.raises(ContentRefused, match="changed while it was read"):
                read.extend(bytes(chunk) for chunk in reader.chunks(entries[0]))
        assert b"".join(read) in (b"", left)


@pytest.mark.parametrize("replacement", [a_symlink, a_pipe, a_hard_link, a_device, a_symlinked_directory])
def test_what_takes_a_file_s_place_is_not_read(
    plugin: Path, replacement: Callable[[Path, Path], None]
) -> None:
    secret = plugin.parent.parent / "secret"
    secret.write_bytes(SECRET)
    (plugin / "file").write_bytes(b"x" * len(SECRET))
    with Reader(plugin) as reader:
        (entry,) = reader.scan(Listing(max_bytes=100, max_files=100))
        (plugin / "file").unlink()
        replacement(plugin / "file", secret)
        with pytest.raises((ContentRefused, OSError)):
            list(reader.chunks(entry))


def test_a_link_that_takes_a_directory_s_place_is_not_followed(plugin: Path) -> None:
    elsewhere = plugin.parent.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_bytes(SECRET)
    (plugin / "sub").mkdir()
    (plugin / "sub/file").write_bytes(b"x" * len(SECRET))
    with Reader(plugin) as reader:
        entries = reader.scan(Listing(max_bytes=100, max_files=100))
        with Reader(plugin) as later:
            (plugin / "sub").rename(plugin / "old")
            (plugin / "sub").symlink_to(elsewhere)
            with pytest.raises(NotADirectoryError):
                list(later.chunks(entries[1]))


def test_no_descriptor_is_left_open(plugin: Path) -> None:
    (plugin / "plugin.yaml").mkdir()
    (plugin / "sub").mkdir()
    (plugin / "sub/file").write_bytes(b"1")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        registered_plugins(plugin.parent)
        with Reader(plugin) as reader:
            for entry in reader.scan(Listing(max_bytes=100, max_files=100)):
                if not entry.is_directory:
                    list(reader.chunks(entry))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_a_copy_stops_when_it_is_cancelled(registry: Path, plugin: Path, into: Path) -> None:
    for number in range(50):
        with (plugin / f"f{number:02}").open("wb") as file:
            file.truncate(20 * 2**20)
    task = asyncio.create_task(fetch(registry, into, limits=Limits(max_bytes=2**40, timeout=60)))
    while not list(into.iterdir()):
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    before = state(into)
    assert len(before) < 50
    await asyncio.sleep(0.2)
    assert state(into) == before


async def test_the_deadline(registry: Path, plugin: Path, into: Path) -> None:
    with (plugin / "big").open("wb") as file:
        file.truncate(2**32)
    with pytest.raises(FetchTimedOut, match=r"^failed to fetch plugin from local$"):
        await fetch(registry, into, limits=Limits(max_bytes=2**40, timeout=0.1))


async def test_signatures_change_with_everything_but_reading(
    registry: Path, plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.reading._SETTLED_NS", 0)
    (plugin / "sub").mkdir()
    (plugin / "sub/file").write_bytes(b"1")
    sources = Sources([LocalSource(registry)], allow_unpinned=False)

    async def signature() -> str | None:
        await asyncio.sleep(0.02)  # a tick of the kernel's clock
        return await sources.signature(sources.resolve("plugin"))

    first = await signature()
    (plugin / "sub/file").read_bytes()
    assert await signature() == first is not None
    seen: set[str | None] = {first}
    for change in (
        lambda: (plugin / "sub/file").write_bytes(b"2"),
        lambda: os.utime(plugin / "sub/file", (1, 1)),
        lambda: (plugin / "sub/file").chmod(0o755),
        lambda: (plugin / "sub/file").rename(plugin / "sub/other"),
        (plugin / "sub/new").touch,
        (plugin / "sub/new").unlink,
        (plugin / "top").touch,
    ):
        change()
        seen.add(await signature())
    assert len(seen) == 8
    assert None not in seen


async def test_no_signature_while_it_is_young_or_refused_or_absent(registry: Path, plugin: Path) -> None:
    sources = Sources([LocalSource(registry)], allow_unpinned=False)
    (plugin / "file").touch()
    assert await sources.signature(sources.resolve("plugin")) is None
    assert await sources.signature(sources.resolve("absent")) is None


def test_the_registry_lists_directories_with_valid_names(registry: Path, plugin: Path) -> None:
    secret = registry.parent / "secret"
    secret.write_text("version: host")
    (plugin / "plugin.yaml").write_text("version: 1.10")
    for name in ("bare", "broken", "linked", "hard", "huge", "directory", ".hidden", "in valid", "B"):
        (registry / name).mkdir()
    (registry / "broken/plugin.yaml").write_text("{")
    (registry / "linked/plugin.yaml").symlink_to(secret)
    (registry / "hard/plugin.yaml").hardlink_to(secret)
    (registry / "huge/plugin.yaml").write_text("version: 2\n" + "#" * 2**16)
    (registry / "directory/plugin.yaml").mkdir()
    (registry / "file").touch()
    (registry / "link").symlink_to(plugin)
    plugins = registered_plugins(registry)
    assert list(plugins) == ["B", "bare", "broken", "directory", "hard", "huge", "linked", "plugin"]
    assert plugins.pop("plugin") == Manifest(version="1.10")
    assert set(plugins.values()) == {Manifest()}
    with pytest.raises(FileNotFoundError):
        registered_plugins(registry / "nowhere")
