"""`github://owner/repo#ref`: a tag, a full commit SHA, or, where that is allowed, a branch."""

import asyncio
import re
import shutil
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from api.errors import InvalidSource, NotAtSource
from api.names import parse_plugin_name
from api.sources.base import Limits, Resolved, in_thread, unpinned
from api.sources.checkout import check_out
from api.sources.git import Git
from api.sources.git_words import RefMissing, RepositoryMissing

_REPOSITORY = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,99})/([A-Za-z0-9._-]{1,100})")
_SHA = re.compile(r"[0-9a-fA-F]{40}")
_NOT_IN_A_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|@\{")
_MAX_REF_BYTES = 255
_REFS_ONLY = Limits(max_bytes=0, timeout=15)
_HINT = (
    'write "github://owner/repo#ref" with a tag or a full commit SHA, such as "github://owner/repo#v1.2.0"'
)


class GithubSource:
    """Fetches one commit without its history, with a git that can do nothing else."""

    scheme: ClassVar[str] = "github"

    def __init__(self, base_url: str, *, allow_unpinned: bool, scratch: Path | None = None) -> None:
        """git works in `scratch` when it only asks; None is the system's directory for such things."""
        self._base_url = base_url.rstrip("/")
        self._allow_unpinned = allow_unpinned
        self._scratch = scratch

    def resolve(self, spec: str) -> Resolved:
        """The spec is `owner/repo[#ref]`, the name the repository's.

        Raises InvalidSource, InvalidPluginName.
        """
        repository, separator, ref = spec.partition("#")
        parts = _REPOSITORY.fullmatch(repository.removesuffix(".git"))
        if not parts or (separator and not is_ref(ref)):
            raise InvalidSource(hint=_HINT)
        if _SHA.fullmatch(ref):
            ref = ref.lower()
        return Resolved(
            scheme=self.scheme,
            spec=parts[0] + separator + ref,
            name=parse_plugin_name(parts[2]),
            pinned=bool(separator),
        )

    async def fetch(self, resolved: Resolved, into: Path, limits: Limits) -> None:
        """Fetch, look at the tree, write its files. Raises the errors of Source.fetch."""
        repository, _, ref = resolved.spec.partition("#")
        work = Path(tempfile.mkdtemp(prefix=".git.", dir=into))
        try:
            git = self._git(work, limits)
            await git.init()
            commit = await self._fetch(git, repository, ref, resolved)
            await in_thread(partial(check_out, git, commit, into, limits), cancel=git.kill)
        finally:
            await asyncio.to_thread(shutil.rmtree, work)

    async def signature(self, resolved: Resolved) -> str | None:
        """The commit, or what the tag or the branch means at the moment."""
        repository, _, ref = resolved.spec.partition("#")
        if _SHA.fullmatch(ref):
            return ref
        refs = (f"refs/tags/{ref}", f"refs/heads/{ref}") if ref else ("HEAD",)
        with tempfile.TemporaryDirectory(dir=self._scratch) as work:
            git = self._git(Path(work), _REFS_ONLY)
            for url in self._urls(repository):
                with suppress(RepositoryMissing):
                    return next(iter((await git.objects(url, *refs)).values()), None)
        return None

    def _git(self, work: Path, limits: Limits) -> Git:
        protocol = urlsplit(self._base_url).scheme
        return Git(work, protocol=protocol, max_bytes=limits.max_bytes, seconds=limits.timeout)

    def _urls(self, repository: str) -> tuple[str, ...]:
        """Servers differ in whether they want the `.git`."""
        return f"{self._base_url}/{repository}", f"{self._base_url}/{repository}.git"

    async def _fetch(self, git: Git, repository: str, ref: str, resolved: Resolved) -> str:
        """What git calls the commit that was fetched."""
        for url in self._urls(repository):
            try:
                return await self._fetch_from(git, url, ref, resolved)
            except RepositoryMissing:
                continue
            except RefMissing as exc:
                raise NotAtSource(hint="the repository has no such tag or commit") from exc
        raise NotAtSource(hint="there is no such repository, or it is not public, or it has moved")

    async def _fetch_from(self, git: Git, url: str, ref: str, resolved: Resolved) -> str:
        if not ref or _SHA.fullmatch(ref):
            return await git.fetch(url, ref or "HEAD")
        try:
            return await git.fetch(url, f"refs/tags/{ref}")
        except RefMissing:
            branch = f"refs/heads/{ref}"
            if self._allow_unpinned:
                return await git.fetch(url, branch)
            if await git.objects(url, branch):
                raise unpinned(resolved) from None
            raise


def is_ref(text: str) -> bool:
    """Whether git would take `text` as the name of a tag or a branch, see git-check-ref-format(1)."""
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        return False
    return (
        0 < length <= _MAX_REF_BYTES
        and not text.startswith(("-", "/"))
        and not text.endswith(("/", "."))
        and not _NOT_IN_A_REF.search(text)
        and not any(part.startswith(".") or part.endswith(".lock") for part in text.split("/"))
    )
