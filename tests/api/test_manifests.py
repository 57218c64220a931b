"""plugin.yaml: read or refused, never anything else."""

import string
import time
from collections.abc import Iterator

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api import manifests
from api.manifests import MAX_LISTED_BYTES, Manifest, ManifestError, manifest, read_manifest


@pytest.fixture(params=["libyaml", "python"], autouse=True, scope="module")
def parser(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both parsers: PyYAML has its own where libyaml is not there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            manifests, "_LOADER", yaml.CBaseLoader if request.param == "libyaml" else yaml.BaseLoader
        )
        yield


FULL = """\
name: another
version: 1.10
description: |
  Two
  lines, ünïcødé
author: 'no'
tags: [yes, 3, "~", null, 2001-01-01]
skills:
- one
- ../..
- {a: b}
- two
runtimes:
- claude-code
more: {deep: [[1], {2: 3}], ? [complex] : key}
"""


def test_texts_stay_as_they_are_written() -> None:
    found = manifest(FULL.encode())
    assert found == Manifest(
        version="1.10",
        description="Two\nlines, ünïcødé\n",
        author="no",
        tags=("yes", "3", "~", "2001-01-01"),
        skills=("one", "../..", "two"),
        runtimes=("claude-code",),
    )
    assert found.valid_skills() == ("one", "two")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing",
        "---\n",
        "null",
        "~",
        "\ufeff",
        "{}",
        "version:",
        "version: ~",
        "version: null\ntags: ~",
    ],
)
def test_what_says_nothing_is_empty(text: str) -> None:
    assert manifest(text.encode()) == Manifest()


@pytest.mark.parametrize(
    "text",
    [
        "version: [1]\ndescription: {a: b}\nauthor: [x]",
        "tags: one\nskills: {a: b}\nruntimes: 3",
        "tags: [[a], {b: c}, ~]",
        "!!python/object/apply:os.system {version: [id]}",
        "Version: 1",
    ],
)
def test_other_types_are_empty(text: str) -> None:
    assert manifest(text.encode()) == Manifest()


def test_a_tag_constructs_nothing() -> None:
    found = manifest(b"version: !!python/object/apply:os.getcwd []\nauthor: !!python/name:os.system x")
    assert found == Manifest(author="x")


def test_a_byte_order_mark_is_no_text() -> None:
    assert manifest(b"\xef\xbb\xbfversion: 1") == Manifest(version="1")


def test_the_first_document_counts() -> None:
    assert manifest(b"---\nversion: 1\n---\nversion: 2\n") == Manifest(version="1")


LAUGHS = "a: &a [lol]\n" + "".join(
    f"{after}: &{after} [{', '.join(['*' + before] * 9)}]\n"
    for before, after in zip(string.ascii_lowercase, string.ascii_lowercase[1:10], strict=False)
)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[1, 2]", "not a mapping"),
        (b"text", "not a mapping"),
        (b"a: b: c", "not YAML"),
        (b"{", "not YAML"),
        (b"{a: b} c", "not YAML"),
        (b"a: 1\n---\n{", "not YAML"),
        (b"\tversion: 1", "not YAML"),
        (b"version: \x00", "not YAML"),
        (b"version: \x07", "not YAML"),
        (b'version: "\\ud800"', "not YAML"),
        (b'version: "\\U00110000"', "not YAML"),
        (b"%YAML 9.9\n---\na: b", "not YAML"),
        (b"version: \xe9", "not UTF-8"),
        ("version: 1".encode("utf-16"), "not UTF-8"),
        (b"version: 1\nversion: 2", "two values for one key"),
        (b"x: {a: 1, a: 2}", "two values for one key"),
        (b"a: &a 1\nversion: *a", "an alias"),
        (b"a: &a [*a]", "an alias"),
        (b"base: &b {version: 1}\n<<: *b", "an alias"),
        (LAUGHS.encode(), "an alias"),
        (b"a: " + b"[" * 33 + b"]" * 33, "nested too deeply"),
        (b"[" * 60_000, "nested too deeply"),
        (b"{a: " * 15_000, "nested too deeply"),
        (b"- " * 30_000, "nested too deeply"),
        (b"".join(b" " * n + b"a:\n" for n in range(300)), "nested too deeply"),
        (b"#" * (MAX_LISTED_BYTES + 1), "more than 65536 bytes"),
        (b"[" * 2**20, "more than 65536 bytes"),
    ],
)
def test_what_cannot_be_read_is_refused_at_once(content: bytes, why: str) -> None:
    started = time.monotonic()
    with pytest.raises(ManifestError) as caught:
        manifest(content)
    assert str(caught.value) == why
    assert read_manifest(content) == Manifest()
    assert time.monotonic() - started < 20  # seconds, and not minutes


def test_the_largest_is_read_in_time() -> None:
    content = ("skills:\n" + "- a\n" * 16_000).encode()
    assert len(content) < MAX_LISTED_BYTES
    started = time.monotonic()
    assert len(manifest(content).skills) == 16_000
    assert time.monotonic() - started < 20


@settings(max_examples=300, deadline=None, database=None)
@given(
    st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
@example(b"? ")
@example(b"!<tag:yaml.org,2002:str> a: b")
@example(b"&a : *a")
@example(b"a: !!binary /w==")
@example(b"---\n...\n---\n")
@example(b"%TAG ! tag:x\n--- {}")
@example(b"\xef\xbb\xbf\xef\xbb\xbf")
def test_any_bytes_are_a_manifest_or_an_error(content: bytes) -> None:
    try:
        found = manifest(content)
    except ManifestError:
        return
    assert isinstance(found, Manifest)


TOKENS = [
    "a",
    ": ",
    "- ",
    "\n",
    " ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&x ",
    "*x",
    "!!str ",
    "|",
    ">",
    "'",
    '"',
    "? ",
    "---\n",
    "#",
    "~",
    "version",
    "tags",
    "<<",
    "\\",
]


@settings(max_examples=300, deadline=None, database=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=30).map("".join))
def test_what_looks_like_yaml_is_a_manifest_or_an_error(text: str) -> None:
    try:
        found = manifest(text.encode())
    except ManifestError:
        return
    for value in (found.version, found.description, found.author):
        assert isinstance(value, str)
    for values in (found.tags, found.skills, found.runtimes):
        assert all(isinstance(value, str) for value in values)


PRINTABLE = st.text(
    st.characters(
        codec="utf-8",
        exclude_categories=("Cc", "Cn", "Co", "Cs"),
        exclude_characters="\ufeff\ufffe\uffff\u2028\u2029\u0085",
    )
)


@settings(max_examples=200, deadline=None, database=None)
@given(
    version=PRINTABLE,
    description=PRINTABLE,
    skills=st.lists(PRINTABLE, max_size=5),
    more=st.integers() | PRINTABLE,
)
def test_what_was_dumped_is_read(version: str, description: str, skills: list[str], more: object) -> None:
    fields = {"version": version, "description": description, "skills": skills, "more": more}
    text = yaml.safe_dump(fields, allow_unicode=True)
    found = manifest(text.encode())
    assert (found.version, found.description, found.skills) == (version, description, tuple(skills))
