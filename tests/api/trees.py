"""Trees in tests: what is in them, written to disk."""

from collections.abc import Mapping
from pathlib import Path

from api.archives import Tree, check_tree

State = Mapping[str, tuple[int, bytes | None]]
"""Modes and contents by path; a directory has none."""


def write(root: Path, state: State) -> None:
    for path, (_, content) in sorted(state.items()):
        if content is None:
            (root / path).mkdir(parents=True, exist_ok=True)
        else:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
    for path, (mode, _) in state.items():
        (root / path).chmod(mode)


def check(root: Path, *, max_bytes: int = 10**6, max_files: int = 1000) -> Tree:
    return check_tree(root, max_bytes=max_bytes, max_files=max_files)


STATE: State = {
    "plugin.yaml": (0o644, b"version: 1\nskills: [one, ../two]\n"),
    ".hidden": (0o755, None),
    ".hidden/hook": (0o755, b"#!/bin/sh\n"),
    ".hidden/ünïcødé " + "x" * 90: (0o600, b"\0" * 513),
    "a-b": (0o644, b"1"),
    "a": (0o700, None),
    "a/b": (0o640, b""),
    "a/empty": (0o555, None),
    "deep/" + "d" * 200: (0o755, None),
    "deep/" + "d" * 200 + "/" + "f" * 200: (0o744, b"x" * 512),
    "deep": (0o755, None),
}
