"""Fetching in tests, as the install does it."""

from pathlib import Path

from api.sources import Limits, Sources
from api.sources.github import GithubSource
from tests.support.forge import Forge

LIMITS = Limits(max_bytes=4 * 2**20, timeout=30)
FAILED = r"^failed to fetch plugin from github$"


def sources(forge: Forge, *, allow_unpinned: bool = False) -> Sources:
    source = GithubSource(forge.url, allow_unpinned=allow_unpinned)
    return Sources([source], allow_unpinned=allow_unpinned)


async def fetch(
    forge: Forge, spec: str, into: Path, *, allow_unpinned: bool = False, limits: Limits = LIMITS
) -> None:
    known = sources(forge, allow_unpinned=allow_unpinned)
    await known.fetch(known.resolve(f"github://{spec}"), into, limits)


def content(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def stream(files: dict[str, bytes]) -> bytes:
    """What git fast-import reads: one commit, tagged v1. Thousands of files in one process."""
    parts = [b"commit refs/tags/v1\ncommitter forge <forge> 0 +0000\ndata 0\n"]
    for path, data in files.items():
        parts.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))
    return b"".join(parts)
