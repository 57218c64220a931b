"""Servers that hang, that send a gigabyte, that answer otherwise; hosts that lack something."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from api.errors import (
    ApiError,
    FetchFailed,
    FetchTimedOut,
    NotAtSource,
    PluginTooLarge,
    StorageFull,
)
from api.sources import Limits, Sources
from api.sources.git import Git
from api.sources.git_words import RefMissing, RepositoryMissing, meaning
from api.sources.github import GithubSource
from tests.api.sources.fetching import FAILED, LIMITS, fetch, stream
from tests.support.forge import Answer, Forge
from tests.support.processes import CHECKOUT
from tests.support.remains import belonging
from tests.support.rogue import Throttled, chatter, flood_pack, flood_refs, hang, refuse


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"zeros": bytes(8 * 2**20)}, id="a file that is small when packed"),
        pytest.param({f"f{n}": b"" for n in range(11)}, id="files"),
        pytest.param({f"d{n}/f": b"" for n in range(4)} | {"a/b/c/d/e/f/g/h/i": b""}, id="directories"),
    ],
)
async def test_limits_hold_before_a_file_is_written(
    forge: Forge, into: Path, files: dict[str, bytes]
) -> None:
    forge.repository("owner/plugin").git("fast-import", "--quiet", content=stream(files))
    with pytest.raises(PluginTooLarge) as caught:
        await fetch(forge, "owner/plugin#v1", into, limits=Limits(max_bytes=2**20, max_files=10, timeout=30))
    assert caught.value.message == "staged plugin exceeds size limit"
    assert caught.value.keys["source"] == "github://owner/plugin#v1"
    assert list(into.iterdir()) == []


async def test_a_tree_of_a_billion_names_ends_at_the_limit(forge: Forge, into: Path) -> None:
    repository = forge.repository("owner/plugin")
    entry = (0o100644, repository.blob(b""))
    for _ in range(10):
        tree = repository.tree({f"d{n}": entry for n in range(8)})
        entry = (0o40000, tree)
    repository.commit({}, tag="v1", more={"bomb": entry})
    started = time.monotonic()
    with pytest.raises(PluginTooLarge):
        await fetch(forge, "owner/plugin#v1", into)
    assert time.monotonic() - started < 60  # and not for ever


@pytest.mark.parametrize("answer", [flood_refs, flood_pack])
async def test_a_gigabyte_is_cut_off(forge: Forge, into: Path, answer: Answer) -> None:
    forge.repository("owner/plugin").commit({}, tag="v1")
    forge.answer = answer
    forge.sent_bytes = 0
    largest = 0

    async def watch() -> None:
        nonlocal largest
        while True:
            sizes = [path.stat().st_size for path in into.rglob("*") if path.is_file()]
            largest = max(largest, sum(sizes))
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    try:
        with pytest.raises(PluginTooLarge):
            await fetch(forge, "owner/plugin#v1", into)
    finally:
        watching.cancel()
    assert forge.sent_bytes < 600 * 2**20
    assert largest < 30 * 2**20
    assert list(into.iterdir()) == []


async def test_a_server_that_never_stops_talking_is_left(forge: Forge, into: Path) -> None:
    forge.answer = chatter
    forge.sent_bytes = 0
    with pytest.raises(FetchFailed):
        await fetch(forge, "owner/plugin#v1", into)
    assert forge.sent_bytes < 50 * 2**20
    assert list(into.iterdir()) == []


@pytest.mark.parametrize("answer", [hang, Throttled()])
async def test_the_deadline_ends_git_with_all_its_children(forge: Forge, into: Path, answer: Answer) -> None:
    forge.answer = answer
    started = time.monotonic()
    with pytest.raises(FetchTimedOut, match=FAILED):
        await fetch(forge, "owner/plugin#v1", into, limits=Limits(max_bytes=2**20, timeout=0.7))
    assert time.monotonic() - started < 7
    assert belonging(into) == set()
    assert list(into.iterdir()) == []


async def test_a_fetch_that_is_cancelled_leaves_nothing(forge: Forge, into: Path) -> None:
    forge.answer = hang
    at_work = 0
    for step in range(25):
        task = asyncio.create_task(fetch(forge, "owner/plugin#v1", into))
        await asyncio.sleep(0.002 * step)
        at_work += bool(belonging(into))  # this takes its time: whatever was being started meanwhile, is
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert belonging(into) == set()
        assert list(into.iterdir()) == []
    assert 0 < at_work < 25, "git was cancelled before it ran, and while it did"


async def test_a_checkout_that_is_cancelled_stops(forge: Forge, into: Path) -> None:
    files = {f"f{number}": bytes(8 * 2**20) for number in range(12)}
    forge.repository("owner/plugin").git("fast-import", "--quiet", content=stream(files))
    task = asyncio.create_task(
        fetch(forge, "owner/plugin#v1", into, limits=Limits(max_bytes=2**40, timeout=60))
    )
    while not any(path.is_file() for path in into.iterdir()):
        await asyncio.sleep(0.002)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert belonging(into) == set()
    assert len(list(into.iterdir())) < len(files)


FETCHING = """
import asyncio, sys
from pathlib import Path
from api.sources import Limits
from api.sources.github import GithubSource
source = GithubSource(sys.argv[1], allow_unpinned=False)
limits = Limits(max_bytes=2**20, timeout=2)
asyncio.run(source.fetch(source.resolve("owner/plugin#v1"), Path(sys.argv[2]), limits))
"""


async def test_git_dies_with_the_process_that_started_it(forge: Forge, into: Path) -> None:
    forge.answer = hang
    with subprocess.Popen([sys.executable, "-c", FETCHING, forge.url, into], cwd=CHECKOUT) as process:
        while len(belonging(into)) < 2 or not forge.requests:
            await asyncio.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    async with asyncio.timeout(30):
        while belonging(into):
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refuse(401, **{"WWW-Authenticate": "Basic realm=x"}), NotAtSource),
        (refuse(404), NotAtSource),
        (refuse(200), NotAtSource),  # a repository without refs
        (refuse(301, Location="http://127.0.0.1:1/elsewhere/info/refs"), NotAtSource),
        (refuse(302, Location="file:///etc/passwd"), NotAtSource),
        (refuse(403), FetchFailed),
        (refuse(429), FetchFailed),
        (refuse(500), FetchFailed),
    ],
)
async def test_other_answers(forge: Forge, into: Path, answer: Answer, error: type[ApiError]) -> None:
    forge.answer = answer
    with pytest.raises(error, match=FAILED):
        await fetch(forge, "owner/plugin#v1", into)
    assert list(into.iterdir()) == []


async def test_nobody_there(into: Path) -> None:
    source = GithubSource("http://127.0.0.1:1", allow_unpinned=False)
    known = Sources([source], allow_unpinned=False)
    with pytest.raises(FetchFailed, match=FAILED):
        await known.fetch(known.resolve("github://owner/plugin#v1"), into, LIMITS)


async def test_other_protocols_are_closed(forge: Forge, into: Path) -> None:
    forge.repository("owner/plugin").commit({}, tag="v1")
    for protocol, closed in (("file", False), ("https", True)):
        git = Git(into, protocol=protocol, max_bytes=2**20, seconds=9)
        await git.init()
        with pytest.raises(FetchFailed) if closed else nullcontext():
            await git.fetch(f"file://{forge.directory}/owner/plugin", "refs/tags/v1")


@pytest.mark.parametrize(
    ("missing", "hint"), [("git", "git is not installed"), ("prlimit", "util-linux is not installed")]
)
async def test_a_host_without_the_programs_is_told_so(
    into: Path, monkeypatch: pytest.MonkeyPatch, missing: str, hint: str
) -> None:
    programs = into / "programs"
    programs.mkdir()
    for name in {"git", "prlimit", "setpriv"} - {missing}:
        (programs / name).symlink_to(shutil.which(name) or name)
    monkeypatch.setenv("PATH", str(programs))
    source = GithubSource("http://127.0.0.1:1", allow_unpinned=False)
    with pytest.raises(FetchFailed) as caught:
        await source.fetch(source.resolve("owner/plugin#v1"), into, LIMITS)
    assert hint in str(caught.value.keys["hint"])


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")
async def test_a_full_disk_is_said(forge: Forge, into: Path) -> None:
    files = {"big": os.urandom(3 * 2**20)}
    forge.repository("owner/plugin").git("fast-import", "--quiet", content=stream(files))
    for size in ("2m", "5m"):  # git's pack does not fit, or the files beside it
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", into], check=True)
        try:
            with pytest.raises(StorageFull):
                await fetch(forge, "owner/plugin#v1", into)
            assert not any(path.is_dir() for path in into.iterdir())
        finally:
            subprocess.run(["umount", "--lazy", into], check=True)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"fatal: couldn't find remote ref refs/tags/v1\n", RefMissing),
        (b"fatal: remote error: upload-pack: not our ref 1234\n", RefMissing),
        (b"error: Server does not allow request for unadvertised object 1234\n", RefMissing),
        (b"fatal: repository 'https://github.com/a/b/' not found\n", RepositoryMissing),
        (
            b"fatal: could not read Username for 'https://github.com': terminal prompts disabled\n",
            RepositoryMissing,
        ),
        (b"fatal: write error: No space left on device\nfatal: index-pack failed\n", StorageFull),
        (b"fatal: Out of memory, realloc failed\n", PluginTooLarge),
        (b"remote: fatal: couldn't find remote ref refs/tags/v1\nfatal: early EOF\n", FetchFailed),
        (b"", FetchFailed),
    ],
)
def test_what_git_says(said: bytes, error: type[Exception]) -> None:
    assert type(meaning(said)) is error
