"""Text from a log, made harmless: a caller may have written it to fool a terminal or a reader."""

import json


def harmless(text: str) -> str:
    """`text` with every character that is not shown as itself written as its escape: colours, line ends,
    bells, marks that turn the direction of writing, halves of characters."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(value: object) -> str:
    """A value of a line, as it is shown beside its key: text as it is, anything else as JSON."""
    return harmless(value if isinstance(value, str) else json.dumps(value, default=str))
