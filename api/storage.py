"""A full disk is an answer of its own, wherever it shows."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from api.errors import StorageFull


@contextmanager
def storage_errors() -> Iterator[None]:
    """Raise StorageFull where the disk or the quota turns out to be full; every other error passes."""
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull from exc
        raise
