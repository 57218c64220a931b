"""What a repository may try: nothing of it is run, nothing of this host is read."""

import os
import subprocess
from io import BytesIO
from pathlib import Path

import pytest

from api.errors import ContentRefused
from api.sources.checkout import _records
from tests.api.sources.fetching import content, fetch
from tests.support.forge import Forge

NASTY_ATTRIBUTES = b"""\
* filter=lfs diff=lfs merge=lfs text eol=crlf ident export-subst working-tree-encoding=UTF-16
hidden export-ignore
"""


async def test_nothing_of_a_repository_or_of_this_host_is_run(
    forge: Forge, into: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    home = tmp_path / "home"
    hooks = home / "template/hooks"
    hooks.mkdir(parents=True)
    for name in ("post-checkout", "reference-transaction", "post-merge", "fsmonitor-watchman"):
        (hooks / name).write_text(f"#!/bin/sh\necho hook >>{ran}\n")
        (hooks / name).chmod(0o755)
    (home / ".netrc").write_text("machine 127.0.0.1 login secret password secret\n")
    (home / ".gitconfig").write_text(
        f"""
        [init]
            templateDir = {home}/template
        [core]
            hooksPath = {hooks}
            fsmonitor = {hooks}/fsmonitor-watchman
            attributesFile = {home}/attributes
            autocrlf = true
        [filter "lfs"]
            smudge = "sh -c 'echo smudge >>{ran}; cat'"
            process = "sh -c 'echo process >>{ran}'"
            required = true
        [http]
            extraHeader = "X-Secret: secret"
        [credential]
            helper = "!echo helper >>{ran}; echo username=u; echo password=p; :"
        [submodule]
            recurse = true
        [protocol "ext"]
            allow = always
        """
    )
    for name, value in {
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.sshCommand",
        "GIT_CONFIG_VALUE_0": f"echo ssh >>{ran}",
        "GIT_EXTERNAL_DIFF": f"echo diff >>{ran}",
        "GIT_ASKPASS": f"{hooks}/post-checkout",
        "GIT_TRACE": str(ran),
    }.items():
        monkeypatch.setenv(name, value)
    repository = forge.repository("owner/plugin")
    files: dict[str, bytes | tuple[int, bytes]] = {
        ".gitattributes": NASTY_ATTRIBUTES,
        ".lfsconfig": b"[lfs]\n\turl = ext::sh -c id\n",
        ".gitmodules": b'[submodule "sub"]\n\tpath = sub\n\turl = ext::sh -c id\n\tupdate = !id\n',
        ".githooks/post-checkout": (0o100755, b"#!/bin/sh\nid\n"),
        "pointer.bin": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        "text.txt": b"$Id$ $Format:%H$\nline\n",
        "hidden": b"kept",
    }
    repository.commit(files, tag="v1", more={"sub": (0o160000, "1" * 40)})

    await fetch(forge, "owner/plugin#v1", into)
    assert not ran.exists()
    assert content(into) == {
        path: file if isinstance(file, bytes) else file[1] for path, file in files.items()
    }
    assert list((into / "sub").iterdir()) == []
    assert not list(into.rglob(".git"))
    for request in forge.requests:
        assert not {"Authorization", "X-Secret", "Cookie"} & set(request.headers)

    # All of it works on a git that is not caged: the test can fail.
    subprocess.run(
        ["git", "clone", "--quiet", f"{forge.url}/owner/plugin", tmp_path / "clone"],
        check=False,
        capture_output=True,
    )
    said = ran.read_text()
    assert "hook\n" in said
    assert "process\n" in said
    assert forge.requests[-1].headers["X-Secret"] == "secret"


SECRET = b"the host's own"


@pytest.mark.parametrize(
    ("name", "mode", "reason"),
    [
        ("link", 0o120000, "symbolic link"),
        (".git", 0o100644, "name that is git's own"),
        (".GIT", 0o100644, "name that is git's own"),
        ("..", 0o100644, "path that leaves the plugin"),
        (".", 0o100644, "path that leaves the plugin"),
        ("../up", 0o100644, "path that leaves the plugin"),
        ("/absolute", 0o100644, "path that leaves the plugin"),
        ("nowhere/file", 0o100644, "path that leaves the plugin"),
        ("README", 0o100644, "names that differ only by case"),
        ("x" * 256, 0o100644, "over-long name"),
        ("x" * 70000, 0o100644, "over-long name"),
    ],
)
async def test_content_that_is_refused(forge: Forge, into: Path, name: str, mode: int, reason: str) -> None:
    secret = into.with_name("secret")
    secret.write_bytes(SECRET)
    repository = forge.repository("owner/plugin")
    blob = repository.blob(os.fsencode(secret))
    repository.commit({"readme": b"", "plugin.yaml": b"version: 1"}, tag="v1", more={name: (mode, blob)})
    with pytest.raises(ContentRefused) as caught:
        await fetch(forge, "owner/plugin#v1", into)
    assert caught.value.reason == reason
    assert caught.value.message.startswith(f"plugin content refused: {reason}: ")
    assert caught.value.keys["source"] == "github://owner/plugin#v1"
    assert list(into.iterdir()) == []


async def test_a_link_in_the_place_of_a_directory_is_refused(
    forge: Forge, into: Path, tmp_path: Path
) -> None:
    repository = forge.repository("owner/plugin")
    link = (0o120000, repository.blob(os.fsencode(tmp_path)))
    file = (0o100644, repository.blob(b""))
    repository.commit({}, tag="v1", more={"a": link, "a/b": file})
    with pytest.raises(ContentRefused, match=r"symbolic link: a$"):
        await fetch(forge, "owner/plugin#v1", into)
    assert list(into.iterdir()) == []


def test_a_name_without_end_is_not_read_to_its_end() -> None:
    output = BytesIO(bytes(2**24).replace(b"\0", b"x"))
    with pytest.raises(ContentRefused, match="over-long name"):
        list(_records(output))
    assert output.tell() <= 2**21
