"""What may stand behind github://."""

import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api.errors import InvalidPluginName, InvalidSource
from api.sources.github import GithubSource, is_ref


@pytest.mark.parametrize(
    ("spec", "normal", "name"),
    [
        ("owner/repo#v1.2.0", "owner/repo#v1.2.0", "repo"),
        ("owner/repo.git#v1", "owner/repo#v1", "repo"),
        ("Owner-1/Re.po_1#feature/x+y", "Owner-1/Re.po_1#feature/x+y", "Re.po_1"),
        ("o/r#" + "AB" * 20, "o/r#" + "ab" * 20, "r"),
        ("o/r", "o/r", "r"),
        ("o/r#ünï#code", "o/r#ünï#code", "r"),
    ],
)
def test_specs(spec: str, normal: str, name: str) -> None:
    resolved = GithubSource("http://forge", allow_unpinned=False).resolve(spec)
    assert (resolved.spec, resolved.name, resolved.pinned) == (normal, name, "#" in spec)
    assert resolved.source == f"github://{normal}"


@pytest.mark.parametrize(
    "spec",
    [
        *(
            "owner",
            "owner/",
            "/repo",
            "owner/repo/more",
            "owner/repo/",
            "-owner/repo",
            "ow ner/repo",
            "owner/.git",
        ),
        *("owner/re po", "owner/repo?x", "owner/repo@v1", "../repo", "owner/repo#", "owner/repo#-x", "#v1"),
        *("owner/repo#a..b", "owner/repo#a b", "owner/repo#a~1", "owner/repo#a^{}", "owner/repo#a:b"),
        *("owner/repo#a.lock", "owner/repo#.a", "owner/repo#a/.b", "owner/repo#a//b", "owner/repo#/a"),
        *(
            "owner/repo#a/",
            "owner/repo#a.",
            "owner/repo#a@{1}",
            "owner/repo#a\\b",
            "owner/repo#a\n",
            "owner/repo\n#a",
        ),
        *("owner/repo#a*", "owner/repo#[a", "owner/repo#" + "a" * 256, "owner/repo#\ud800", "öwner/repo#a"),
        *("owner/repo#a\0", "-c/--upload-pack=id#x" + " "),
    ],
)
def test_specs_that_are_none(spec: str) -> None:
    with pytest.raises(InvalidSource):
        GithubSource("http://forge", allow_unpinned=False).resolve(spec)


@pytest.mark.parametrize("repository", [".github", "_private", "-x", "a..b"])
def test_repositories_whose_names_are_no_plugin_s(repository: str) -> None:
    with pytest.raises(InvalidPluginName):
        GithubSource("http://forge", allow_unpinned=False).resolve(f"owner/{repository}#v1")


@settings(max_examples=150, deadline=None, database=None)
@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
    | st.text("ab./@{-~^:?*[\\ \t\x7f", min_size=1, max_size=8)
)
@example("@")
@example("a@")
@example("{@")
def test_refs_are_those_that_git_takes(text: str) -> None:
    if "\0" in text:
        assert not is_ref(text)
        return
    ended = subprocess.run(["git", "check-ref-format", f"refs/tags/{text}"], check=False)
    assert is_ref(text) == (ended.returncode == 0 and not text.startswith("-"))
