"""Taking a plugin's blocks out of CLAUDE.md without touching anything that a person wrote.

The runtime inside the workspace writes a block for each rule and fragment of a plugin:

    # Plugin: <name> / rule: <file>
    <blank line>
    <the stripped text of that file, of any number of paragraphs>
"""

import re
from collections.abc import Mapping

_MAX_NAME = 255

_MARKER = re.compile(r"^# Plugin: (\S+) / (rule|fragment): ([^\n]+)$", re.MULTILINE)


def block_files(text: str, plugin: str) -> dict[str, str]:
    """The blocks of `plugin` in `text`: each marker line, and the file of the plugin that it is of."""
    return {
        marker[0]: f"rules/{marker[3]}" if marker[2] == "rule" else marker[3]
        for marker in _MARKER.finditer(text)
        if marker[1] == plugin and _is_file_name(marker[3])
    }


def without_blocks(text: str, blocks: Mapping[str, str | None]) -> str:
    """`text` without the blocks whose marker lines are the keys; the values are the installed texts.

    Where the text still stands as it was installed, marker and text go, with the blank lines up to the next
    text. Where a person has edited it, or the installed text is not known (None), only the marker line goes.
    """
    kept = ""
    position = 0
    for marker in _MARKER.finditer(text):
        if marker.start() >= position and marker[0] in blocks:
            kept += text[position : marker.start()]
            position = _end(text, marker.end(), blocks[marker[0]])
            if position == len(text):
                kept = kept.removesuffix("\n") if kept.endswith("\n\n") else kept
    return kept + text[position:]


def _end(text: str, after_marker: int, installed: str | None) -> int:
    """Where what goes ends, if it begins with the marker line that ends at `after_marker`."""
    body = f"\n\n{installed.strip()}" if installed and installed.strip() else None
    if body and text.startswith(body, after_marker):
        end = after_marker + len(body)
        if end == len(text) or text[end] == "\n":
            while text.startswith("\n", end):
                end += 1
            return end
    return min(after_marker + 1, len(text))


def _is_file_name(text: str) -> bool:
    return text not in (".", "..") and len(text) <= _MAX_NAME and not set("/\0") & set(text)
