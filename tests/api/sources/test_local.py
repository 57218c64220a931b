"""local:// copies what may be in a plugin, and nothing else, from directories that may change meanwhile."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from api.errors import ContentRefused, InvalidPluginName, NotAtSource, PluginTooLarge
from api.sources.local import LocalSource
from tests.api.sources.local import (
    FEW,
    SECRET,
    a_dangling_symlink,
    a_device,
    a_hard_link,
    a_pipe,
    a_relative_symlink,
    a_socket,
    a_symlink,
    a_symlinked_directory,
    fetch,
    state,
)


async def test_the_copy_is_equal_bit_for_bit(registry: Path, plugin: Path, into: Path) -> None:
    (plugin / ".hidden/deep/er").mkdir(parents=True)
    (plugin / ".hidden/deep/er/ünïcødé name\n").write_bytes(os.urandom(100_000))
    (plugin / "empty").touch()
    (plugin / "empty-directory").mkdir()
    (plugin / "hook.sh").write_bytes(b"#!/bin/sh\n")
    for path, mode in {
        "hook.sh": 0o755,
        "empty": 0o600,
        ".hidden/deep": 0o555,
        "empty-directory": 0o711,
    }.items():
        (plugin / path).chmod(mode)
    await fetch(registry, into)
    assert state(into) == state(plugin)


async def test_it_owns_nothing_but_content_and_modes(registry: Path, plugin: Path, into: Path) -> None:
    (plugin / "file").write_bytes(b"")
    os.setxattr(plugin / "file", "user.mark", b"x")
    if os.geteuid() == 0:
        os.chown(plugin / "file", 12345, 12345)
    await fetch(registry, into)
    assert (into / "file").stat().st_uid == os.geteuid()
    assert os.listxattr(into / "file") == []


def setuid(path: Path, _: Path) -> None:
    path.touch()
    path.chmod(0o4755)


def setgid(path: Path, _: Path) -> None:
    path.touch()
    path.chmod(0o2755)


def sticky(path: Path, _: Path) -> None:
    path.mkdir()
    path.chmod(0o1777)


def case(path: Path, _: Path) -> None:
    path.touch()
    path.with_name("NASTY").touch()


def composition(path: Path, _: Path) -> None:
    path.with_name("e\u0301").touch()
    path.with_name("\u00e9").touch()


def latin_1(path: Path, _: Path) -> None:
    (Path(os.fsdecode(os.fsencode(path.parent) + b"/\xe9"))).touch()


def too_deep(path: Path, _: Path) -> None:
    path.mkdir()
    descriptor = os.open(path, os.O_RDONLY)
    for _n in range(600):
        os.mkdir("xx", dir_fd=descriptor)
        below = os.open("xx", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)


@pytest.mark.parametrize("where", ["nasty", "sub/nasty"])
@pytest.mark.parametrize(
    ("plant", "reason"),
    [
        (a_symlink, "symbolic link"),
        (a_relative_symlink, "symbolic link"),
        (a_symlinked_directory, "symbolic link"),
        (a_dangling_symlink, "symbolic link"),
        (a_hard_link, "hard link"),
        (a_pipe, "named pipe"),
        (a_socket, "socket"),
        (a_device, "device"),
        (setuid, "setuid bit"),
        (setgid, "setgid bit"),
        (sticky, "sticky bit"),
        (case, "names that differ only by case"),
        (composition, "names that differ only by case"),
        (latin_1, "name that is not UTF-8"),
        (too_deep, "over-long name"),
    ],
)
async def test_what_is_refused_is_refused_before_a_byte_is_copied(
    registry: Path, into: Path, where: str, plant: Callable[[Path, Path], None], reason: str
) -> None:
    plugin = registry / "plugin"
    secret = registry.parent / "secret"
    secret.write_bytes(SECRET)
    (plugin / "plugin.yaml").write_bytes(b"version: 1")
    (plugin / "sub").mkdir()
    plant(plugin / where, secret)
    with pytest.raises(ContentRefused) as caught:
        await fetch(registry, into)
    assert caught.value.reason == reason
    assert caught.value.message.startswith(f"plugin content refused: {reason}: ")
    assert str(registry) not in caught.value.message
    assert caught.value.keys == {"source": "local://plugin"}
    assert list(into.iterdir()) == []
    if where.startswith("sub"):
        assert "sub/" in caught.value.message


@pytest.mark.parametrize("name", ["absent", "file", "link"])
async def test_what_is_no_directory_of_the_registry_is_404(registry: Path, into: Path, name: str) -> None:
    (registry / "file").touch()
    (registry / "link").symlink_to(registry / "plugin")
    with pytest.raises(NotAtSource, match=r"^failed to fetch plugin from local$") as caught:
        await fetch(registry, into, name=name)
    assert caught.value.keys["source"] == f"local://{name}"


async def test_no_registry_at_all_is_404(tmp_path: Path, into: Path) -> None:
    with pytest.raises(NotAtSource):
        await fetch(tmp_path / "nowhere", into)


@pytest.mark.parametrize("name", ["..", "a/b", "/etc", "", ".hidden", "a\n", "a b", "x" * 129, "ä", "a..b"])
def test_specs_are_names(registry: Path, name: str) -> None:
    with pytest.raises(InvalidPluginName):
        LocalSource(registry).resolve(name)


def test_resolved(registry: Path) -> None:
    resolved = LocalSource(registry).resolve("A.b_c-1")
    assert (resolved.source, resolved.name, resolved.pinned) == ("local://A.b_c-1", "A.b_c-1", True)


async def test_a_file_that_is_too_large_is_not_even_opened(registry: Path, plugin: Path, into: Path) -> None:
    (plugin / "a").write_bytes(b"x")
    with (plugin / "sparse").open("wb") as file:
        file.truncate(2**40)
    started = time.monotonic()
    with pytest.raises(PluginTooLarge) as caught:
        await fetch(registry, into)
    assert time.monotonic() - started < 10  # a terabyte takes longer
    assert caught.value.message == "staged plugin exceeds size limit"
    assert list(into.iterdir()) == []


@pytest.mark.parametrize(
    ("size", "files", "fits"), [(2**20, 1, True), (2**20 + 1, 1, False), (100, 100, True), (101, 101, False)]
)
async def test_the_limits_are_exact(registry: Path, into: Path, size: int, files: int, fits: bool) -> None:
    for number in range(files):
        (registry / f"plugin/f{number}").write_bytes(bytes(size // files))
    if fits:
        await fetch(registry, into, limits=FEW)
        assert len(list(into.iterdir())) == files
    else:
        with pytest.raises(PluginTooLarge):
            await fetch(registry, into, limits=FEW)


async def test_directories_count_too(registry: Path, plugin: Path, into: Path) -> None:
    for number in range(101):
        (plugin / f"d{number}").mkdir()
    with pytest.raises(PluginTooLarge):
        await fetch(registry, into, limits=FEW)
