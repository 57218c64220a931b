"""Names and ids from outside: one rule for each, wherever they come from."""

import re
from uuid import UUID

from api.errors import InvalidPluginName, InvalidWorkspaceId
from shared.errors import WorkspaceIdError
from shared.ids import parse_workspace_id

PLUGIN_NAME_RULE = (
    "a name is 1 to 128 of A-Z a-z 0-9 . _ - and begins with a letter or a digit; it has no '..'"
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def is_plugin_name(text: str) -> bool:
    """Whether `text` may name a plugin or a skill: it is one path component, and never a hidden one."""
    return _NAME.fullmatch(text) is not None and ".." not in text


def parse_plugin_name(text: str) -> str:
    """The plugin name in `text`. Raises InvalidPluginName."""
    if not is_plugin_name(text):
        raise InvalidPluginName(hint=PLUGIN_NAME_RULE)
    return text


def parse_id(text: str) -> UUID:
    """The id in `text`. Raises InvalidWorkspaceId."""
    try:
        return parse_workspace_id(text)
    except WorkspaceIdError as exc:
        raise InvalidWorkspaceId from exc
