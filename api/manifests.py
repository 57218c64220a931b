"""plugin.yaml: what a plugin says about itself. It is never trusted, and always small.

The YAML parser's events are read, and nothing is ever constructed from tags: scalars stay the text that
stands there, so that version 1.10 is not 1.1 and `no` is not False.
"""

from dataclasses import dataclass
from typing import Any

import yaml

from api.names import is_plugin_name
from shared.errors import HealthsweepError

PLUGIN_YAML = "plugin.yaml"
MAX_LISTED_BYTES = 2**16
_MAX_DEPTH = 32
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # libyaml is ten times faster, where it is there
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})

Value = str | None | list[Any] | dict[str, Any]


class ManifestError(HealthsweepError):
    """plugin.yaml cannot be read; the text says why, in a few words that hold nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is in a plugin.yaml. Its `name` is not here: the directory's counts. `skills` are as written."""

    version: str = ""
    description: str = ""
    author: str = ""
    tags: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()

    def supports(self, runtime: str) -> bool:
        """Whether it suits `runtime`: one that names none suits all, and claude-code is claude_code."""
        return not self.runtimes or _plain(runtime) in map(_plain, self.runtimes)

    def described(self, name: str) -> dict[str, object]:
        """The plugin `name` as the lists of plugins show it."""
        return {
            "name": name,
            "version": self.version,
            "description": self.description,
            "author": self.author,
            "tags": list(self.tags),
            "skills": list(self.skills),
            "runtimes": list(self.runtimes),
        }

    def valid_skills(self) -> tuple[str, ...]:
        """The skills with names that can be those of directories."""
        return tuple(filter(is_plugin_name, self.skills))


def manifest(content: bytes) -> Manifest:
    """The manifest in the bytes of a plugin.yaml; fields of other types than they should be are empty.

    Raises ManifestError, and nothing else: for more than 64 KiB, for what is no YAML or no mapping, for
    aliases (nine lines of them can stand for a billion values), deep nesting and two values for one key.
    """
    if len(content) > MAX_LISTED_BYTES:
        raise ManifestError(f"more than {MAX_LISTED_BYTES} bytes")
    try:
        fields = _first_document(content.decode())
    except UnicodeDecodeError as exc:
        raise ManifestError("not UTF-8") from exc
    except (yaml.YAMLError, ValueError, OverflowError) as exc:
        raise ManifestError("not YAML") from exc
    if fields is None:
        return Manifest()
    if not isinstance(fields, dict):
        raise ManifestError("not a mapping")
    return Manifest(
        version=_text(fields.get("version")),
        description=_text(fields.get("description")),
        author=_text(fields.get("author")),
        tags=_texts(fields.get("tags")),
        skills=_texts(fields.get("skills")),
        runtimes=_texts(fields.get("runtimes")),
    )


def read_manifest(content: bytes) -> Manifest:
    """The same for lists: one that cannot be read has empty fields."""
    try:
        return manifest(content)
    except ManifestError:
        return Manifest()


def _first_document(text: str) -> Value:
    """What the first document holds: texts, lists and mappings. Built without recursion."""
    documents: list[Value] = []
    containers: list[tuple[bool, list[Value]]] = []
    for event in yaml.parse(text, Loader=_LOADER):
        match event:
            case yaml.AliasEvent():
                raise ManifestError("an alias")
            case yaml.CollectionStartEvent():
                containers.append((isinstance(event, yaml.MappingStartEvent), []))
                if len(containers) > _MAX_DEPTH:
                    raise ManifestError("nested too deeply")
                continue
            case yaml.CollectionEndEvent():
                is_mapping, values = containers.pop()
                value: Value = _mapping(values) if is_mapping else values
            case yaml.ScalarEvent():
                value = _scalar(event)
            case _:
                continue
        (containers[-1][1] if containers else documents).append(value)
    return documents[0] if documents else None


def _scalar(event: yaml.ScalarEvent) -> str | None:
    text: str = event.value
    text.encode()  # an escape can stand for half a character, which no answer could carry
    return None if event.implicit[0] and text in _NULLS else text


def _mapping(values: list[Value]) -> dict[str, Any]:
    """Keys that are no texts are left out: no field of ours has one."""
    pairs = [
        (key, value) for key, value in zip(values[::2], values[1::2], strict=True) if isinstance(key, str)
    ]
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ManifestError("two values for one key")
    return members


def _text(value: Value) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Value) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _plain(runtime: str) -> str:
    return runtime.strip().lower().replace("_", "-")
