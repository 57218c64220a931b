"""Taking a plugin's blocks out of CLAUDE.md without touching anything that a person wrote.

The runtime inside the workspace writes a block for each rule and fragment of a plugin:

    # Plugin: <name> / rule: <file>
    <blank line>
    <the stripped text of that file, of any number of paragraphs>
"""

import re
from collections.abc import Mapping


def block_files(text: str, plugin: str) -> dict[str, str]:
    """The blocks of `plugin` in `text`: each marker line, and the file of the plugin that it is of."""
    files = {}
    for marker, kind, file in _markers(plugin).findall(text):
        if "/" not in file and file not in (".", ".."):
            files[marker] = f"rules/{file}" if kind == "rule" else file
    return files


def without_blocks(text: str, blocks: Mapping[str, str | None]) -> str:
    """`text` without the blocks whose marker lines are the keys; the values are the installed texts.

    Where the text still stands as it was installed, marker and text go. Where a person has edited it, or the
    installed text is not known (None), only the marker line goes.
    """
    for marker, installed in blocks.items():
        line = re.escape(marker)
        if installed and (body := re.escape(installed.strip())):
            text, removed = re.subn(rf"(?m)^{line}\n\n{body}(?:\n+|\Z)", "", text)
            if removed:
                text = re.sub(r"\n+\Z", "\n", text)  # the blank line before a block that stood last
                continue
        text = re.sub(rf"(?m)^{line}(?:\n|\Z)", "", text)
    return text


def _markers(plugin: str) -> re.Pattern[str]:
    return re.compile(rf"(?m)^(# Plugin: {re.escape(plugin)} / (rule|fragment): ([^\n]+))$")
