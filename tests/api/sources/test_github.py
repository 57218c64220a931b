"""github:// against real repositories over git smart HTTP: which version a spec names, and what is there."""

import os
from pathlib import Path

import pytest

from api.errors import FetchFailed, NotAtSource, Unpinned
from api.sources import Limits
from tests.api.sources.fetching import FAILED, content, fetch, sources, stream
from tests.support.forge import Forge, Handler, serve
from tests.support.rogue import refuse


async def test_tag_commit_and_branch_are_the_versions_they_name(forge: Forge, tmp_path: Path) -> None:
    repository = forge.repository("owner/plugin")
    first = repository.commit({"version": b"1"})
    repository.commit({"version": b"2", "new/file": b""}, tag="v2")
    repository.commit({"version": b"3"}, branch="main")
    expected = {
        "v2": {"version": b"2", "new/file": b""},
        first: {"version": b"1"},
        first.upper(): {"version": b"1"},
        "main": {"version": b"3"},
    }
    for number, (ref, files) in enumerate(expected.items()):
        into = tmp_path / str(number)
        into.mkdir()
        await fetch(forge, f"owner/plugin#{ref}", into, allow_unpinned=ref == "main")
        assert content(into) == files


async def test_without_a_ref_it_is_the_default_branch(forge: Forge, into: Path) -> None:
    forge.repository("owner/plugin").commit({"version": b"1"})
    await fetch(forge, "owner/plugin", into, allow_unpinned=True)
    assert content(into) == {"version": b"1"}


@pytest.mark.parametrize("place", ["owner/plugin", "owner/plugin.git", "owner/plugin/.git"])
async def test_repositories_are_found_however_the_forge_stores_them(
    forge: Forge, into: Path, place: str
) -> None:
    forge.repository(place).commit({"version": b"1"}, tag="v1")
    await fetch(forge, "owner/plugin.git#v1", into)
    assert content(into) == {"version": b"1"}


async def test_servers_that_insist_on_the_suffix(forge: Forge, into: Path) -> None:
    def insist(handler: Handler) -> None:
        (serve if ".git/" in handler.path else refuse(404))(handler)

    forge.repository("owner/plugin.git").commit({"version": b"1"}, tag="v1")
    forge.answer = insist
    await fetch(forge, "owner/plugin#v1", into)
    assert content(into) == {"version": b"1"}
    known = sources(forge)
    assert await known.signature(known.resolve("github://owner/plugin#v1")) is not None


async def test_a_tag_hides_the_branch_of_its_name(forge: Forge, into: Path) -> None:
    repository = forge.repository("owner/plugin")
    repository.commit({"version": b"tag"}, tag="release")
    repository.commit({"version": b"branch"}, branch="release")
    await fetch(forge, "owner/plugin#release", into, allow_unpinned=True)
    assert content(into) == {"version": b"tag"}


async def test_modes_are_git_s_two_and_dot_files_stay(forge: Forge, into: Path) -> None:
    files: dict[str, bytes | tuple[int, bytes]] = {
        "run": (0o100755, b"#!"),
        ".hidden/old": (0o100664, b"x"),
        "leer/ä": b"",
        "empty": b"",
    }
    forge.repository("owner/plugin").commit(files, tag="v1")
    await fetch(forge, "owner/plugin#v1", into)
    modes = {str(path.relative_to(into)): path.stat().st_mode & 0o7777 for path in into.rglob("*")}
    assert modes == {
        "run": 0o755,
        ".hidden": 0o755,
        ".hidden/old": 0o644,
        "leer": 0o755,
        "leer/ä": 0o644,
        "empty": 0o644,
    }


async def test_big_files_and_many_files(forge: Forge, into: Path) -> None:
    files = {"big": os.urandom(20 * 2**20)} | {f"d{n % 7}/f{n}": b"%d" % n for n in range(500)}
    repository = forge.repository("owner/plugin")
    repository.git("fast-import", "--quiet", content=stream(files))
    await fetch(forge, "owner/plugin#v1", into, limits=Limits(max_bytes=30 * 2**20, timeout=60))
    assert content(into) == files


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("owner/nobody#v1", "repository"),
        ("owner/plugin#v9", "no such tag"),
        ("owner/plugin#" + "0" * 39 + "1", "no such tag"),
        ("owner/plugin#HEAD", "no such tag"),
        ("owner/plugin#refs/tags/v1", "no such tag"),
    ],
)
@pytest.mark.parametrize("allow_unpinned", [False, True])
async def test_what_is_not_there_is_404(
    forge: Forge, into: Path, spec: str, hint: str, allow_unpinned: bool
) -> None:
    forge.repository("owner/plugin").commit({}, tag="v1")
    with pytest.raises(NotAtSource, match=FAILED) as caught:
        await fetch(forge, spec, into, allow_unpinned=allow_unpinned)
    assert caught.value.keys["source"] == f"github://{spec}"
    assert hint in str(caught.value.keys["hint"])
    assert list(into.iterdir()) == []


async def test_an_object_that_is_no_commit_is_not_installed(forge: Forge, into: Path) -> None:
    repository = forge.repository("owner/plugin")
    repository.commit({"version": b"1"}, tag="v1")
    with pytest.raises((NotAtSource, FetchFailed)):
        await fetch(forge, f"owner/plugin#{repository.blob(b'1')}", into)


async def test_a_branch_is_no_pin(forge: Forge, into: Path) -> None:
    forge.repository("owner/plugin").commit({"version": b"1"})
    with pytest.raises(Unpinned) as caught:
        await fetch(forge, "owner/plugin#main", into)
    assert caught.value.message == (
        'unpinned github source: append a tag or commit SHA (e.g. "github://owner/repo#v1.2.0"). '
        "Set PLUGIN_ALLOW_UNPINNED=true to override"
    )
    assert caught.value.keys["source"] == "github://owner/plugin#main"
    assert list(into.iterdir()) == []


async def test_signatures_follow_what_a_ref_means(forge: Forge) -> None:
    repository = forge.repository("owner/plugin")
    commit = repository.commit({"version": b"1"}, tag="v1")
    known = sources(forge)

    async def signature(spec: str) -> str | None:
        return await known.signature(known.resolve(f"github://{spec}"))

    before = await signature("owner/plugin#v1")
    assert before is not None
    assert await signature("owner/plugin#v1") == before
    repository.git("tag", "--delete", "v1")
    repository.commit({"version": b"2"}, tag="v1")
    assert await signature("owner/plugin#v1") not in (None, before)
    assert await signature(f"owner/plugin#{commit}") == commit
    assert await signature("owner/plugin#v9") is None
    assert await signature("owner/nobody#v1") is None
