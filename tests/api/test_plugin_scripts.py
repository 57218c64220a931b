"""The scripts that run in containers, under dash and under busybox, disturbed at each of their steps.

A script's programs are wrapped in functions that count: before each of them, in the middle of each removal,
and at the end is a *step*. At one of them the shell is killed, as with its container; or others run from
their beginning to their end, as a new api's requests do beside what a killed one had left running.
"""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from api.plugins import scripts
from api.plugins.container import _listed

SHELLS = {"dash": "dash", "busybox": "busybox ash"}
OLD = {"plugin.yaml": b"version: old\n", "a": b"old", "d/only-old": b"old"}
NEW = {"plugin.yaml": b"version: new\n", "a": b"new", "d/only-new": b"new"}
THIRD = {"plugin.yaml": b"version: third\n", "a": b"third"}
Q = {"plugin.yaml": b"version: q\n", "a": b"q"}

PROGRAMS = ("mv", "rmdir", "mkdir", "chown", "chmod", "cp", "cmp", "head")
COUNTING = """
steps=0
step() { steps=$((steps + 1)); [ "$steps" != "$AT" ] || disturb; }
rm() {
    step
    [ "$((steps + 1))" != "$AT" ] || find "$2" -name a -exec busybox rm {} +
    step
    command rm "$@"
}
trap 'ended=$?; step; echo "$steps" >"$COUNT"; exit $ended' EXIT
"""
COUNTING += "".join(f'{program}() {{ step; command {program} "$@"; }}\n' for program in PROGRAMS)


def swapping(name: str, staging: str) -> tuple[str, ...]:
    return (scripts.SWAP, name, scripts.in_any_case(name), staging)


class Box:
    """A container's /configs as a directory here, and the shell that is in the container."""

    def __init__(self, shell: str, root: Path) -> None:
        self.shell = shell
        self.root = root
        self.plugins = root / "plugins"
        self.steps = 0

    def fill(self, name: str, files: dict[str, bytes]) -> None:
        for path, content in files.items():
            (self.plugins / name / path).parent.mkdir(parents=True, exist_ok=True)
            (self.plugins / name / path).write_bytes(content)

    def found(self, name: str) -> dict[str, bytes] | None:
        """The files of a plugin, None if it is not there."""
        root = self.plugins / name
        if not root.exists():
            return None
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def prepared(self, name: str, staging: str, files: dict[str, bytes]) -> None:
        """A plugin that was uploaded and is not live yet."""
        assert self.run(scripts.PREPARE) == 0
        (self.plugins / ".staging" / staging / "old").mkdir(parents=True)
        self.fill(f".staging/{staging}/new/{name}", files)

    def swap(self, name: str, staging: str, **when: Any) -> int:
        return self.run(*swapping(name, staging), **when)

    def run(self, script: str, *arguments: str, at: int = 0, then: str = "kill -9 $$") -> int:
        """The exit code of a script; at the step `at` of it, if there is one, `then` happens."""
        text = f"{COUNTING}disturb() {{ {then}; }}\n{self.here(script)}"
        ended = subprocess.run(
            [*self.shell.split(), "-c", text, "test", *arguments],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "AT": str(at), "COUNT": str(self.root / "count")},
            capture_output=True,
            check=False,
        )
        if (self.root / "count").exists():
            self.steps = int((self.root / "count").read_text())
            (self.root / "count").unlink()
        self.output = ended.stdout
        return ended.returncode

    def here(self, script: str) -> str:
        return script.replace("/configs", str(self.root))

    def others(self, *others: Sequence[str]) -> str:
        """A shell text that runs these scripts with their arguments, one after the other."""
        lines = []
        for number, (script, *arguments) in enumerate(others):
            path = self.root / f"other-{number}"
            path.write_text(self.here(script))
            lines.append(f"env -u AT {self.shell} {path} {' '.join(arguments)} >/dev/null 2>&1")
        return "; ".join(lines)


@pytest.fixture(params=SHELLS)
def new_box(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Box]:
    numbers = iter(range(10_000))

    def box() -> Box:
        made = Box(SHELLS[request.param], tmp_path / str(next(numbers)))
        made.fill("q", Q)
        return made

    return box


def each_step(new_box: Callable[[], Box], act: Callable[[Box, int], None]) -> Iterator[Box]:
    """A new box for each step of what `act` does in it, once it was disturbed there."""
    box = new_box()
    act(box, 0)
    assert box.steps > 3
    for at in range(1, box.steps + 1):
        box = new_box()
        act(box, at)
        yield box


RECOVERIES = {"list": scripts.CLEAN, "install": scripts.PREPARE}


@pytest.mark.parametrize("recovery", RECOVERIES)
@pytest.mark.parametrize("before", [OLD, None], ids=["over an old one", "the first"])
def test_killed_anywhere_a_swap_leaves_one_whole_tree(
    new_box: Callable[[], Box], before: dict[str, bytes] | None, recovery: str
) -> None:
    def act(box: Box, at: int) -> None:
        if before:
            box.fill("p", before)
        box.prepared("p", "p.1", NEW)
        box.swap("p", "p.1", at=at)

    seen = []
    for box in each_step(new_box, act):
        assert box.found("p") in (before, NEW, None)
        is_whole = box.run(scripts.LIST) == 0
        assert not is_whole or box.found("p") in (before, NEW)
        assert box.run(RECOVERIES[recovery]) == 0
        assert box.found("p") in ([before, NEW] if before else [None, NEW])
        seen.append(box.found("p"))
        assert box.found("q") == Q
        assert box.run(scripts.CLEAN) == 0
        assert not (box.plugins / ".staging").exists()
    assert before in seen
    assert NEW in seen


def test_killed_anywhere_a_recovery_can_be_repeated(new_box: Callable[[], Box]) -> None:
    def act(box: Box, at: int) -> None:
        box.fill("r", NEW)
        for name in ("p", "r"):  # p was aside when the swap was killed, r's new tree was in already
            box.fill(f".staging/{name}.1/old/{name}", OLD)
            box.fill(f".staging/{name}.1/new/{name}", NEW)
        box.run(scripts.CLEAN, at=at)

    for box in each_step(new_box, act):
        assert box.found("p") in (OLD, None)
        assert box.run(scripts.CLEAN) == 0
        assert (box.found("p"), box.found("r"), box.found("q")) == (OLD, NEW, Q)
        assert not (box.plugins / ".staging").exists()


def test_killed_anywhere_a_removal_leaves_the_tree_whole_or_gone(new_box: Callable[[], Box]) -> None:
    def act(box: Box, at: int) -> None:
        box.fill("p", OLD)
        box.fill("../skills/own", {"a": b""})
        box.run(scripts.REMOVE, "p", "own", at=at)

    for box in each_step(new_box, act):
        assert box.found("p") in (OLD, None)
        assert box.run(scripts.REMOVE, "p", "own") in (0, scripts.NOT_INSTALLED)
        assert box.run(scripts.CLEAN) == 0
        assert (box.found("p"), box.found("q")) == (None, Q)
        assert not (box.root / "skills" / "own").exists()
        assert not (box.plugins / ".staging").exists()


def next_requests(box: Box, name: str) -> str:
    """What a new api may be asked for while a killed one's script still runs."""
    third = box.root / "third"
    third.mkdir()
    for path, content in THIRD.items():
        (third / path).write_bytes(content)
    upload = (
        "cd /configs/plugins; mkdir -p .staging/{0}.2/old .staging/{0}.2/new; "
        "cp -r {1} .staging/{0}.2/new/{0}"
    )
    p, s = upload.format("p", third), upload.format("s", third)
    requests: dict[str, list[tuple[str, ...]]] = {
        "list": [(scripts.LIST,), (scripts.CLEAN,)],
        "install": [(scripts.PREPARE,), (p,), swapping("p", "p.2")],
        "install at once": [(p,), swapping("p", "p.2")],
        "install another": [(scripts.PREPARE,), (s,), swapping("s", "s.2")],
        "uninstall another": [(scripts.CLEAN,), (scripts.REMOVE, "q")],
    }
    return box.others(*requests[name])


@pytest.mark.parametrize(
    "request_", ["list", "install", "install at once", "install another", "uninstall another"]
)
def test_a_swap_that_outlived_its_api_mixes_nothing(new_box: Callable[[], Box], request_: str) -> None:
    def act(box: Box, at: int) -> None:
        box.fill("p", OLD)
        box.prepared("p", "p.1", NEW)
        box.swap("p", "p.1", at=at, then=next_requests(box, request_))

    for box in each_step(new_box, act):
        box.run(scripts.CLEAN)
        assert box.found("p") in (OLD, NEW, THIRD)
        assert box.run(scripts.CLEAN) == 0
        assert not (box.plugins / ".staging").exists()


@pytest.mark.parametrize("script", [scripts.CLEAN, scripts.PREPARE], ids=["list", "install"])
@pytest.mark.parametrize("before", [OLD, None], ids=["over an old one", "the first"])
def test_a_swap_that_wakes_up_within_another_request_mixes_nothing(
    new_box: Callable[[], Box], before: dict[str, bytes] | None, script: str
) -> None:
    def act(box: Box, at: int) -> None:
        if before:
            box.fill("p", before)
        box.prepared("p", "p.1", NEW)
        box.run(script, at=at, then=box.others(swapping("p", "p.1")))

    for box in each_step(new_box, act):
        box.run(scripts.CLEAN)
        assert box.found("p") in (before, NEW)


def test_killed_anywhere_an_edit_leaves_the_text_or_the_edited_one(new_box: Callable[[], Box]) -> None:
    def act(box: Box, at: int) -> None:
        (box.root / "CLAUDE.md").write_bytes(b"before")
        box.prepared(".texts", "e.1", {"before": b"before", "after": b"after"})
        box.run(scripts.EDIT, ".texts", "e.1", at=at)

    for box in each_step(new_box, act):
        assert (box.root / "CLAUDE.md").read_bytes() in (b"before", b"after")
        assert box.run(scripts.CLEAN) == 0
        left = sorted(path.name for path in box.root.iterdir())
        assert left == ["CLAUDE.md", "plugins"]


def test_an_edit_keeps_owner_and_mode_and_a_text_that_changed_meanwhile(new_box: Callable[[], Box]) -> None:
    box = new_box()
    text = box.root / "CLAUDE.md"
    for now, code in ((b"before", 0), (b"somebody's", scripts.CHANGED_MEANWHILE)):
        text.write_bytes(now)
        text.chmod(0o640)
        subprocess.run(["chown", "1234:4321", text], check=True)
        box.prepared(".texts", "e.1", {"before": b"before", "after": b"after"})
        assert box.run(scripts.EDIT, ".texts", "e.1") == code
        status = text.stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (1234, 4321, 0o640)
        assert text.read_bytes() == (now if code else b"after")
        assert not (box.plugins / ".staging").exists()


def test_names_that_differ_only_by_case_and_odd_neighbours(new_box: Callable[[], Box]) -> None:
    box = new_box()
    for odd in ("-n", "a b", "*", "Ä", "Tool"):
        box.fill(odd, Q)
    for name, code in (("tool", scripts.NAME_DIFFERS_IN_CASE), ("Tool", 0), ("n", 0), ("1.2-a_b", 0)):
        box.prepared(name, "x", NEW)
        assert box.swap(name, "x") == code
        assert (box.found(name) == NEW) == (code == 0)
    assert box.found("Tool") == NEW
    assert box.found("Ä") == Q


def test_whatever_stands_in_the_place_of_the_staging_it_is_no_hindrance(new_box: Callable[[], Box]) -> None:
    box = new_box()
    staging, outside = box.plugins / ".staging", box.root / "outside"
    outside.mkdir()
    (outside / "a").touch()
    ways: tuple[Callable[[], object], ...] = (
        staging.touch,
        lambda: staging.symlink_to(outside),
        lambda: staging.symlink_to("nowhere"),
        lambda: box.fill(".staging/.odd/x", {"a": b""}),
        lambda: box.fill(".staging/file", {"a": b""}),
        partial(_directory_with_link, staging, outside),
    )
    for make in ways:
        make()
        box.prepared("p", "p.1", NEW)
        assert box.swap("p", "p.1") == 0
        assert box.found("p") == NEW
        assert not staging.exists()
    assert (outside / "a").exists()


def test_half_a_tree_does_not_go_live(new_box: Callable[[], Box]) -> None:
    """The staging directory was taken away during the upload, which made its path anew."""
    box = new_box()
    box.prepared("p", "p.1", NEW)
    (box.plugins / ".staging" / "p.1" / "old").rmdir()
    assert box.swap("p", "p.1") == scripts.CHANGED_MEANWHILE
    assert not (box.plugins / "p").exists()


def test_what_is_read_is_framed_by_bytes(new_box: Callable[[], Box]) -> None:
    box = new_box()
    box.fill("other", {"plugin.yaml": "größe\n\n".encode()})
    box.fill("none", {"a": b""})
    box.fill("large", {"plugin.yaml": b"x" * 70_000})
    box.fill("-c", {"plugin.yaml": b"an option"})
    assert box.run(scripts.LIST) == 0
    assert [(plugin.name, plugin.manifest) for plugin in _listed(box.output)] == [
        ("large", b"x" * 65536),
        ("none", b""),
        ("other", "größe\n\n".encode()),
        ("q", b"version: q\n"),
    ]
    paths = [str(box.plugins / path) for path in ("q/a", "nowhere", "q", "other/plugin.yaml")]
    (box.plugins / "link").symlink_to("q/a")
    assert box.run(scripts.READ, *paths, str(box.plugins / "link")) == 0
    assert box.output == "file 1 1\n0qfile 1 9\n3größe\n\n".encode()


def _directory_with_link(directory: Path, target: Path) -> None:
    directory.mkdir()
    (directory / "link").symlink_to(target)
