"""What was fetched: checked, identified, packed. Tars are read back by Python's, GNU's and busybox's tar."""

import base64
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api.archives import Tree, digest_of, pack_gzip, pieces_of_tar
from api.digests import tree_digest
from api.errors import ContentRefused
from api.manifests import Manifest
from tests.api.trees import STATE, State, check, write
from tests.support.processes import CHECKOUT


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


def test_a_tree(root: Path) -> None:
    write(root, STATE)
    tree = check(root)
    assert {entry.path: (entry.mode, entry.is_directory) for entry in tree.entries} == {
        path: (mode, content is None) for path, (mode, content) in STATE.items()
    }
    paths = [entry.path.encode() for entry in tree.entries]
    assert paths == sorted(paths)
    assert tree.size_bytes == sum(len(content or b"") for _, content in STATE.values())
    assert tree.manifest == Manifest(version="1", skills=("one", "../two"))
    assert tree.manifest.valid_skills() == ("one",)
    assert tree.plugin_yaml_sha256 == hashlib.sha256(STATE["plugin.yaml"][1] or b"").hexdigest()
    assert digest_of(tree) == specified_digest(STATE)


def specified_digest(state: State) -> str:
    """As the documentation words it, and otherwise than the code does it."""
    lines = b""
    for path in sorted(state, key=str.encode):
        mode, content = state[path]
        if content is not None:
            lines += hashlib.sha256(content).hexdigest().encode()
            lines += b"  " + (b"0755" if mode & 0o100 else b"0644") + b"  "
            lines += str(len(path.encode())).encode() + b":" + path.encode() + b"\n"
    return "h1:" + base64.b64encode(hashlib.sha256(lines).digest()).decode()


def test_a_digest_that_was_worked_out_elsewhere(root: Path) -> None:
    """printf 'hi' | sha256sum; printf '<sum>  0755  3:a b\\n' | openssl dgst -sha256 -binary | base64"""
    write(root, {"a b": (0o755, b"hi")})
    assert digest_of(check(root)) == "h1:70HSwbXv8/W7sac6hiQe3aUZ5J1++A8rZkpl0m25UdQ="


def test_an_empty_plugin(root: Path) -> None:
    tree = check(root)
    assert (tree.entries, tree.size_bytes, tree.manifest, tree.plugin_yaml_sha256) == (
        (),
        0,
        Manifest(),
        None,
    )
    assert digest_of(tree) == "h1:" + base64.b64encode(hashlib.sha256(b"").digest()).decode()


def test_what_the_digest_does_not_cover(root: Path) -> None:
    write(root, {"file": (0o644, b"1")})
    digest = digest_of(check(root))
    write(root, {"file": (0o666, b"1"), "empty": (0o755, None)})
    os.utime(root / "file", (1, 1))
    assert digest_of(check(root)) == digest
    (root / "file").chmod(0o755)
    assert digest_of(check(root)) != digest


FILES = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=6)
    | st.text("ab0: \n/", min_size=1, max_size=6),
    st.tuples(st.sampled_from([0o644, 0o755]), st.binary(max_size=6)),
    max_size=4,
)


def tree_digest_of(files: Mapping[str, tuple[int, bytes]]) -> str:
    return tree_digest(
        (path, mode, hashlib.sha256(content).hexdigest()) for path, (mode, content) in files.items()
    )


LINE = hashlib.sha256(b"1").hexdigest() + "  0644  1:b"


@settings(max_examples=300, deadline=None, database=None)
@given(FILES, FILES)
@example({"a": (0o644, b"x"), "b": (0o644, b"y")}, {"a": (0o644, b"xb\0y")})
@example({"a": (0o644, b"1"), "b": (0o644, b"1")}, {"a\n" + LINE: (0o644, b"1")})
@example({"a": (0o644, b"")}, {"a": (0o755, b"")})
@example({"a": (0o644, b"")}, {})
def test_only_equal_trees_have_equal_digests(
    one: Mapping[str, tuple[int, bytes]], other: Mapping[str, tuple[int, bytes]]
) -> None:
    assert (tree_digest_of(one) == tree_digest_of(other)) == (one == other)
    assert tree_digest_of(dict(reversed(list(one.items())))) == tree_digest_of(one)


BELOW = ".staging/1/new/p"


def spooled(tree: Tree, directory: Path) -> Path:
    archive = directory / "plugin.tar"
    archive.write_bytes(b"".join(pieces_of_tar(tree, BELOW)))
    return archive


def packed(tree: Tree) -> bytes:
    file = io.BytesIO()
    pack_gzip(tree, file)
    return file.getvalue()


def in_tar(file: tarfile.TarFile, *, below: str | None = None) -> State:
    state: dict[str, tuple[int, bytes | None]] = {}
    for member in file:
        assert member.isfile() or member.isdir()
        if below == member.name:
            assert (member.mode, member.isdir()) == (0o755, True)
            continue
        content = file.extractfile(member)
        name = member.name if below is None else member.name.removeprefix(f"{below}/")
        state[name] = (member.mode, content.read() if content else None)
    return state


def test_the_tars_hold_the_tree(root: Path, tmp_path: Path) -> None:
    write(root, STATE)
    tree = check(root)
    with tarfile.open(spooled(tree, tmp_path)) as tar:
        assert in_tar(tar, below=BELOW) == STATE
        assert {(member.uid, member.gid, member.uname, member.mtime) for member in tar} == {
            (1000, 1000, "", 0)
        }
        assert [member.name for member in tar] == [
            BELOW,
            *(f"{BELOW}/{entry.path}" for entry in tree.entries),
        ]
    with tarfile.open(fileobj=io.BytesIO(packed(tree)), mode="r:gz") as tar:
        assert in_tar(tar) == STATE
        assert {(member.uid, member.gid, member.uname, member.mtime) for member in tar} == {(0, 0, "", 0)}


@pytest.mark.parametrize("program", [["tar"], ["busybox", "tar"]])
def test_other_programs_unpack_it(root: Path, tmp_path: Path, program: list[str]) -> None:
    write(root, STATE)
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run([*program, "-xpf", spooled(check(root), tmp_path), "-C", out], check=True)
    root = out / BELOW
    assert digest_of(check(root)) == specified_digest(STATE)
    assert {str(path.relative_to(root)): path.stat().st_mode & 0o7777 for path in root.rglob("*")} == {
        path: mode for path, (mode, _) in STATE.items()
    }


def test_the_same_tree_is_the_same_bytes(root: Path, tmp_path: Path) -> None:
    write(root, STATE)
    one = (spooled(check(root), tmp_path).read_bytes(), packed(check(root)))
    twin = tmp_path / "twin"
    twin.mkdir()
    write(twin, dict(reversed(list(STATE.items()))))
    for path in twin.rglob("*"):
        os.utime(path, (1, 1))
    assert (spooled(check(twin), tmp_path).read_bytes(), packed(check(twin))) == one
    assert one[1][:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # gzip's header: no name, no time


def test_an_empty_tree_is_an_empty_directory(root: Path, tmp_path: Path) -> None:
    with tarfile.open(spooled(check(root), tmp_path)) as tar:
        assert in_tar(tar, below=BELOW) == {}


def test_a_file_that_changed_since_is_not_packed(root: Path, tmp_path: Path) -> None:
    write(root, {"file": (0o644, b"1234")})
    tree = check(root)
    write(root, {"file": (0o644, b"12345")})
    with pytest.raises(ContentRefused, match="changed while it was read"):
        spooled(tree, tmp_path)


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..") and len(name.encode()) <= 255
)
TREES = st.recursive(
    st.tuples(st.sampled_from([0o644, 0o755, 0o600, 0o400]), st.binary(max_size=1100)),
    lambda below: st.dictionaries(NAMES, below, max_size=4),
    max_leaves=8,
).filter(lambda tree: isinstance(tree, dict))


Nested = Mapping[str, "tuple[int, bytes] | Nested"]


def flat(tree: Nested, above: str = "") -> dict[str, tuple[int, bytes | None]]:
    state: dict[str, tuple[int, bytes | None]] = {}
    for name, below in tree.items():
        if isinstance(below, tuple):
            state[above + name] = below
        else:
            state |= {above + name: (0o755, None), **flat(below, f"{above}{name}/")}
    return state


@settings(max_examples=150, deadline=None, database=None)
@given(TREES)
@example({"x" * 100: {"y" * 100: (0o644, b"")}})
@example({"x" * 99: {"y" * 156: {"z" * 255: {}}}})
@example({"plugin.yaml": (0o644, b"\x80")})
@example({"a\nb": (0o644, b""), "\\": {"\x7f": (0o755, b"\0" * 512)}})
def test_round_trips(tree: Nested) -> None:
    state = flat(tree)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "root"
        root.mkdir()
        write(root, state)
        try:
            checked = check(root)
        except ContentRefused as refused:
            if refused.reason in ("names that differ only by case", "over-long name"):
                return
            if "plugin.yaml" in tree:  # Hypothesis knows the words of the product
                return
            raise
        assert digest_of(checked) == specified_digest(state)
        with tarfile.open(spooled(checked, Path(directory))) as tar:
            assert in_tar(tar, below=BELOW) == state
        with tarfile.open(fileobj=io.BytesIO(packed(checked)), mode="r:gz") as tar:
            assert in_tar(tar) == state


GROWTH = """
import asyncio, os, sys, time
from pathlib import Path
from api.archives import check_tree, digest_of, pack_gzip, pieces_of_tar
from api.errors import ContentRefused
from api.sources import Limits, Sources
from shared.settings import Settings

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

base = Path(sys.argv[1])
sources = Sources.load(Settings(plugins_dir=base / "registry"))
limits = Limits.of(Settings())

def install(name):
    into = base / f"into-{name}"
    into.mkdir()
    asyncio.run(sources.fetch(sources.resolve(name), into, limits))
    tree = check_tree(into, max_bytes=limits.max_bytes, max_files=limits.max_files)
    digest_of(tree)
    for _ in pieces_of_tar(tree, "plugin"):
        pass
    with open(base / "plugin.tar.gz", "wb") as file:
        pack_gzip(tree, file)

install("small")
before = peak()
install("large")
try:
    install("talkative")
except ContentRefused:
    print(peak() - before)
"""


def test_memory_does_not_grow_with_the_plugin(tmp_path: Path) -> None:
    files = {"small/file": 2**20, "large/file": 90 * 2**20, "talkative/plugin.yaml": 90 * 2**20}
    for path, size in files.items():
        (tmp_path / "registry" / path).parent.mkdir(parents=True)
        with (tmp_path / "registry" / path).open("wb") as file:
            file.truncate(size)
    ended = subprocess.run(
        [sys.executable, "-c", GROWTH, tmp_path], cwd=CHECKOUT, check=True, capture_output=True, text=True
    )
    assert int(ended.stdout) < 8 * 1024
