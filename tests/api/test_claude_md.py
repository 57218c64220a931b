"""A plugin's blocks go out of CLAUDE.md, and nothing else does."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.plugins.claude_md import block_files, without_blocks

RULE = "# Plugin: p / rule: a.md"
FRAGMENT = "# Plugin: p / fragment: AGENTS.md"
FILES = {RULE: "one\n\ntwo\n", FRAGMENT: "  three \n"}


def test_a_block_is_of_a_file_in_the_plugin() -> None:
    text = f"# me\n\n{RULE}\n\none\n\n{FRAGMENT}\n\nthree\n"
    assert block_files(text, "p") == {RULE: "rules/a.md", FRAGMENT: "AGENTS.md"}


@pytest.mark.parametrize(
    "line",
    [
        "# Plugin: p / rule: ../x",
        "# Plugin: p / rule: a/b",
        "# Plugin: p / rule: ..",
        "# Plugin: p / fragment: .",
        "# Plugin: p / rule: a\0b",
        f"# Plugin: p / rule: {'x' * 256}",
        "# Plugin: p / rule:",
        "# Plugin: p2 / rule: a.md",
        "# Plugin: xp / rule: a.md",
        "# Plugin: . / rule: a.md",
        "## Plugin: p / rule: a.md",
        " # Plugin: p / rule: a.md",
        "# Plugin: p / skill: a.md",
    ],
)
def test_what_is_no_block_of_this_plugin(line: str) -> None:
    assert block_files(f"{line}\n\ntext\n", "p") == {}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"{RULE}\n\none\n\ntwo\n", ""),
        (f"{RULE}\n\none\n\ntwo", ""),
        (f"# me\n\n{RULE}\n\none\n\ntwo\n", "# me\n"),
        (f"# me\n{RULE}\n\none\n\ntwo\n", "# me\n"),
        (f"# me\n\n{RULE}\n\none\n\ntwo\n\n# also me\n\n\n", "# me\n\n# also me\n\n\n"),
        (f"{RULE}\n\none\n\ntwo\n\n{FRAGMENT}\n\nthree\n", ""),
        (f"{RULE}\n\none\n\ntwo\n\n\n{RULE}\n\none\n\ntwo\nmine\n", "mine\n"),
        (f"# me\n\n{RULE}\n\none\n\ntwo and more\n", "# me\n\n\none\n\ntwo and more\n"),
        (f"# me\n\n{RULE}\n\nONE\n\ntwo\n\nmine\n", "# me\n\n\nONE\n\ntwo\n\nmine\n"),
        (f"# me\n\n{RULE}\none\n\ntwo\n", "# me\n\none\n\ntwo\n"),
        (f"# me\n\n{RULE}", "# me\n"),
        ("# me\r\n\n\n", "# me\r\n\n\n"),
    ],
)
def test_what_goes_and_what_stays(text: str, left: str) -> None:
    assert without_blocks(text, FILES) == left


@pytest.mark.parametrize("installed", [None, "", " \n\t\n"])
def test_where_the_installed_text_is_not_known_only_the_marker_goes(installed: str | None) -> None:
    assert without_blocks(f"a\n{RULE}\n\none\n", {RULE: installed}) == "a\n\none\n"


def test_a_text_is_no_pattern() -> None:
    marker, body = "# Plugin: p.+ / rule: (a|b)*.md", r"\1 (?P<x>.*) [z-a] $ \n"
    assert block_files(f"{marker}\n\n{body}\n", "p.+") == {marker: "rules/(a|b)*.md"}
    assert block_files("# Plugin: pxx / rule: a.md\n", "p.+") == {}
    assert without_blocks(f"x\n\n{marker}\n\n{body}\n", {marker: body}) == "x\n"


def test_a_hostile_text_costs_no_time() -> None:
    markers = [f"# Plugin: p / rule: {number}" for number in range(20_000)]
    text = "\n".join(markers)
    started = time.process_time()
    assert without_blocks(text, dict.fromkeys(block_files(text, "p"), "x\n" * 1000)) == ""
    assert time.process_time() - started < 2


PARAGRAPH = st.text(alphabet="ab# :/é\udc80\t", min_size=1, max_size=12).filter(
    lambda text: text.strip() == text
)
BODY = st.lists(PARAGRAPH, min_size=1, max_size=3).map("\n\n".join)


@st.composite
def files(draw: st.DrawFn) -> tuple[str, str, dict[str, str]]:
    """CLAUDE.md with blocks of p and of others; what has to be left; p's installed texts by marker."""
    whole, left, installed = [], [], {}
    for number in range(draw(st.integers(0, 6))):
        body = draw(BODY)
        match draw(st.sampled_from(["own text", "block", "edited block", "another's block"])):
            case "own text":
                whole.append(body)
                left.append(body)
            case "block":
                marker = f"# Plugin: p / rule: {number}.md"
                installed[marker] = f"\n{body}\n\n"
                whole.append(f"{marker}\n\n{body}")
            case "edited block":
                marker = f"# Plugin: p / fragment: {number}.md"
                installed[marker] = body
                whole.append(f"{marker}\n\n{body}!")
                left.append(f"\n{body}!")
            case "another's block":
                block = f"# Plugin: q / rule: {number}.md\n\n{body}"
                whole.append(block)
                left.append(block)
    return _written(whole), _written(left), installed


def _written(parts: list[str]) -> str:
    return "\n\n".join(parts) + "\n" if parts else ""


@given(files())
def test_all_that_is_not_a_block_of_it_stays_byte_for_byte(file: tuple[str, str, dict[str, str]]) -> None:
    whole, left, installed = file
    assert set(block_files(whole, "p")) == set(installed)
    assert without_blocks(whole, installed) == left
    assert without_blocks(left, installed) == left


LINES = st.lists(st.sampled_from([RULE, FRAGMENT, "one", "two", "three", "", "# Plugin: q / rule: a.md"]))


TEXTS = st.dictionaries(st.sampled_from([RULE, FRAGMENT]), st.sampled_from(["one", "one\n\ntwo", "three"]))


@given(LINES, st.sampled_from(["", "\n", "\n\n"]), TEXTS)
def test_whatever_stands_there_only_whole_lines_go(
    lines: list[str], end: str, installed: dict[str, str]
) -> None:
    text = "\n".join(lines) + end
    left = without_blocks(text, installed).splitlines()
    rest = iter(text.splitlines())
    assert all(line in rest for line in left), "a line that was not there, or not in this order"
    assert not set(left) & set(installed)


@given(st.text(alphabet=st.characters(exclude_characters="#")))
def test_a_text_without_markers_is_left_alone(text: str) -> None:
    assert without_blocks(text, FILES) == text
