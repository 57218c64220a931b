"""Workspace ids, and the names of the containers that carry them.

An id is parsed before anything else is done with it, so that no text from outside is ever spliced
into a URL path: aiodocker does not quote the names that it is given.
"""

import re
from uuid import UUID

from shared.errors import WorkspaceIdError

_CANONICAL = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def parse_workspace_id(text: str) -> UUID:
    """The workspace id in `text`: 36 characters with hyphens; upper case is lowered.

    Braces, `urn:uuid:` and the form without hyphens are refused, although `UUID()` would take them.
    Raises WorkspaceIdError.
    """
    if not _CANONICAL.fullmatch(text):
        raise WorkspaceIdError("not a workspace id: a UUID of 36 characters is wanted")
    return UUID(text)


def container_name(workspace_id: UUID) -> str:
    """The name of this workspace's container."""
    return f"ws-{workspace_id}"


def short_container_name(workspace_id: UUID) -> str:
    """The name that older platform versions gave: the first 12 characters of the id, hyphen included.

    Two workspaces can share it, so it may be asked for only where no other row has those 12 characters.
    """
    return f"ws-{str(workspace_id)[:12]}"
