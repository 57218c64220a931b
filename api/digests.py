"""What a plugin's content comes down to: our digest of a tree, and the sum that a manifest.json declares."""

import base64
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from api.errors import IntegrityFailed


def tree_digest(files: Iterable[tuple[str, int, str]]) -> str:
    """`h1:` and the base64 of a sha256 over one line for each file, which is (path, mode, sha256 as hex).

    Lines are sorted by the paths' bytes and carry their lengths, so that no two trees share their lines.
    """
    total = hashlib.sha256()
    for path, mode, content in sorted((path.encode(), mode, content) for path, mode, content in files):
        bits = "0755" if mode & 0o100 else "0644"
        total.update(f"{content}  {bits}  {len(path)}:".encode() + path + b"\n")
    return "h1:" + base64.b64encode(total.digest()).decode()


def declared_sum(content: bytes) -> str | None:
    """The `sha256` that a manifest.json declares for the other files; None if it declares none.

    As the platform reads it: null and the empty text are none. Raises IntegrityFailed for anything that
    is no object, and for a `sha256` that is no text.
    """
    try:
        members: Any = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise IntegrityFailed from exc
    if members is None:
        return None
    if not isinstance(members, dict):
        raise IntegrityFailed
    declared = members.get("sha256")
    if not isinstance(declared, str | None):
        raise IntegrityFailed
    return declared or None


class PlatformSum:
    """The platform's own sum over a tree: sha256 of `path NUL content` of each file, sorted by path.

    It has no lengths, so that two different trees can share it: it is checked where a manifest.json declares
    it, and nothing is identified by it.
    """

    def __init__(self) -> None:
        self._total = hashlib.sha256()

    def begin(self, path: str) -> None:
        """The next file; files come in the order of their paths' bytes."""
        self._total.update(path.encode() + b"\0")

    def update(self, chunk: bytes) -> None:
        """More of its content."""
        self._total.update(chunk)

    def check(self, declared: str) -> None:
        """Raises IntegrityFailed if another sum was declared."""
        if self._total.hexdigest() != declared.lower():
            raise IntegrityFailed
