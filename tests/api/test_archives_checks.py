"""What is refused of what was fetched, and the sums that are checked."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from api.archives import check_sha256
from api.errors import ContentRefused, IntegrityFailed, PluginTooLarge
from api.manifests import Manifest
from tests.api.trees import STATE, State, check, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("plant", "reason"),
    [
        (lambda path: path.symlink_to("/etc/hostname"), "symbolic link"),
        (lambda path: path.hardlink_to(path.with_name("file")), "hard link"),
        (os.mkfifo, "named pipe"),
        (lambda path: path.touch() or path.chmod(0o4755), "setuid bit"),
        (lambda path: path.with_name("FILE").touch(), "names that differ only by case"),
    ],
)
def test_every_rule_holds_again(root: Path, plant: Callable[[Path], object], reason: str) -> None:
    (root / "file").touch()
    plant(root / "planted")
    with pytest.raises(ContentRefused) as caught:
        check(root)
    assert caught.value.reason == reason


def test_the_limits_hold_again(root: Path) -> None:
    write(root, {"a": (0o644, b"12345"), "b": (0o644, b"12345")})
    assert check(root, max_bytes=10, max_files=2).size_bytes == 10
    for limits in ({"max_bytes": 9}, {"max_files": 1}):
        with pytest.raises(PluginTooLarge):
            check(root, **limits)


@pytest.mark.parametrize("content", [b"{", b"a: &a 1\nb: *a", b"#" * 2**20, b"\xff"])
def test_a_plugin_yaml_that_cannot_be_read_is_refused(root: Path, content: bytes) -> None:
    write(root, {"plugin.yaml": (0o644, content)})
    with pytest.raises(
        ContentRefused, match=r"^plugin content refused: plugin.yaml that cannot be read, .*: plugin.yaml$"
    ):
        check(root, max_bytes=2**21)


def test_only_the_root_s_plugin_yaml_counts(root: Path) -> None:
    write(root, {"sub/plugin.yaml": (0o644, b"{"), "plugin.yaml": (0o755, None)})
    assert check(root).manifest == Manifest()


# ---- integrity


def platform_sum(state: State) -> str:
    """The platform's rule in its own words."""
    parts = [
        path.encode() + b"\0" + content
        for path, (_, content) in state.items()
        if path != "manifest.json" and content is not None
    ]
    return hashlib.sha256(b"".join(sorted(parts))).hexdigest()


@pytest.mark.parametrize("change", [str.lower, str.upper])
def test_a_declared_sum_that_is_right(root: Path, change: Callable[[str], str]) -> None:
    declared = change(platform_sum(STATE))
    write(root, {**STATE, "manifest.json": (0o644, json.dumps({"sha256": declared, "x": [1]}).encode())})
    assert check(root).size_bytes > 0


def test_a_manifest_json_further_down_is_a_file_like_any_other(root: Path) -> None:
    state: State = {"sub/manifest.json": (0o644, b"{")}
    write(root, {**state, "manifest.json": (0o644, json.dumps({"sha256": platform_sum(state)}).encode())})
    assert check(root).size_bytes > 0


@pytest.mark.parametrize("content", ["{}", '{"sha256": null}', '{"sha256": ""}', "null", '{"SHA": 1}'])
def test_no_declared_sum_is_no_check(root: Path, content: str) -> None:
    write(root, {"manifest.json": (0o644, content.encode())})
    assert check(root).size_bytes == len(content)


@pytest.mark.parametrize(
    "content",
    [
        b'{"sha256": "%s"}' % (b"0" * 64),
        b'{"sha256": "x"}',
        b'{"sha256": 1}',
        b'{"sha256": ["x"]}',
        b'{"sha256": NaN}',
        b"[]",
        b'"x"',
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"a": "' + b"x" * 2**20 + b'"}',
    ],
)
def test_a_manifest_json_that_is_wrong(root: Path, content: bytes) -> None:
    write(root, {"file": (0o644, b"1"), "manifest.json": (0o644, content)})
    with pytest.raises(IntegrityFailed) as caught:
        check(root, max_bytes=2**22)
    assert caught.value.message == "plugin manifest integrity check failed"


def test_one_changed_byte_breaks_the_sum(root: Path) -> None:
    state: State = {"a": (0o644, b"1"), "b": (0o644, b"2")}
    declared = json.dumps({"sha256": platform_sum(state)}).encode()
    write(root, {**state, "manifest.json": (0o644, declared)})
    check(root)
    write(root, {"b": (0o644, b"3")})
    with pytest.raises(IntegrityFailed):
        check(root)


def test_the_sha256_of_plugin_yaml(root: Path) -> None:
    write(root, {"plugin.yaml": (0o644, b"version: 1")})
    tree = check(root)
    right = hashlib.sha256(b"version: 1").hexdigest()
    for expected in (None, right, right.upper()):
        check_sha256(tree, expected, source="local://x")
    with pytest.raises(IntegrityFailed) as caught:
        check_sha256(tree, "0" * 64, source="local://x")
    assert caught.value.message == f"sha256 mismatch: expected {'0' * 64}, got {right}"
    assert caught.value.keys == {"source": "local://x"}


def test_the_sha256_of_no_plugin_yaml(root: Path) -> None:
    with pytest.raises(IntegrityFailed) as caught:
        check_sha256(check(root), "0" * 64, source="local://x")
    assert caught.value.message == "sha256 check failed: plugin.yaml not found in staged plugin"
