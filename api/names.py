"""Plugin names: one rule, wherever a name comes from."""

import re

from api.errors import InvalidPluginName

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
