"""What git says when it could not fetch, and what that means. It is asked to say it in the C locale."""

import re

from api.errors import ApiError, FetchFailed, PluginTooLarge, StorageFull
from shared.errors import HealthsweepError


class GitMissing(HealthsweepError):
    """The server answered: what was asked for is not there."""


class RepositoryMissing(GitMissing):
    """No such repository, none that is public, or none at this address any more."""


class RefMissing(GitMissing):
    """The repository has no such ref or commit."""


_MEANINGS: tuple[tuple[type[ApiError | GitMissing], re.Pattern[bytes]], ...] = (
    (
        PluginTooLarge,  # the bound on memory, where the one on disk did not apply: refs, trees
        re.compile(rb"(?m)^fatal: Out of memory"),
    ),
    (
        StorageFull,
        re.compile(rb"(?m)^(fatal|error): .*(No space left on device|Disk quota exceeded)"),
    ),
    (
        RefMissing,
        re.compile(
            rb"(?m)^fatal: (couldn't find remote ref|remote error: upload-pack: not our ref) "
            rb"|^error: Server does not allow request for unadvertised object "
        ),
    ),
    (
        RepositoryMissing,
        re.compile(
            rb"(?m)^fatal: (repository '.*' not found$|could not read (Username|Password) for "
            rb"|unable to access '.*': The requested URL returned error: 30[1278]$)"
        ),
    ),
)


def meaning(said: bytes) -> ApiError | GitMissing:
    """The error for these last lines of its; FetchFailed for what is not known."""
    return next((error() for error, words in _MEANINGS if words.search(said)), FetchFailed())
