"""The static gate: who asks Docker whether a container runs, and what becomes of *could not tell*."""

from pathlib import Path

import pytest

from tests.gates.ask_docker import WHY, check
from tests.gates.planted import ASKS_ITSELF, NAMESAKES, OTHER_CLOTHES, SWALLOWS, THEN, TRY, WELCOME, Planted
from tests.gates.tree import copy_tree, plant
from tests.support.processes import CHECKOUT

CONSUMERS = ("sweeper", "api", "deploy")
"""The packages that decide by a container's state; each must call the shared function."""
PART, IN_PART = ("shared", "sweeper"), ("sweeper",)
"""A part of the tree, which is read more quickly, and the consumers in it."""


def findings(root: Path, *, consumers: tuple[str, ...]) -> str:
    """What the gate says of the tree at `root`; nothing where all is well."""
    found = check(root, consumers=consumers)
    return "\n".join([*map(str, found), WHY]) if found else ""


def test_nobody_else_asks_docker_and_nobody_swallows_the_answer() -> None:
    said = findings(CHECKOUT, consumers=CONSUMERS)
    assert not said, said


@pytest.mark.parametrize("planted", WELCOME, ids=lambda planted: planted.name)
def test_a_third_consumer_that_calls_the_shared_function_is_welcome(planted: Planted, tmp_path: Path) -> None:
    root = copy_tree(tmp_path / "tree", only=PART)
    plant(root, "worker/names.py", "from shared.running import container_state as anything")
    plant(root, planted.file, planted.text)
    consumer = ("worker",) if planted.file.startswith("worker/") else ()
    said = findings(root, consumers=(*IN_PART, *consumer))
    assert not said, said


@pytest.mark.parametrize("planted", ASKS_ITSELF, ids=lambda planted: planted.name)
def test_one_that_asks_docker_itself_is_refused(planted: Planted, tmp_path: Path) -> None:
    root = copy_tree(tmp_path / "tree", only=PART)
    plant(root, planted.file, planted.text)
    found = check(root, consumers=IN_PART)
    assert {(finding.file, finding.rule) for finding in found} == {(planted.file, "asks itself")}


EVERYWHERE = ("api/soft.py", "sweeper/look.py", "shared/outage.py", "deploy/images.py")


@pytest.mark.parametrize(
    ("file", "handler"),
    [*(("worker/work.py", handler) for handler in SWALLOWS), *((file, SWALLOWS[0]) for file in EVERYWHERE)],
)
def test_one_that_makes_a_no_of_an_unknown_is_refused(file: str, handler: str, tmp_path: Path) -> None:
    root = copy_tree(tmp_path / "tree", only=PART)
    plant(root, file, f"{TRY}{THEN}{handler}")
    found = check(root, consumers=IN_PART)
    assert {(finding.file, finding.rule) for finding in found} == {(file, "swallows")}


@pytest.mark.parametrize("planted", OTHER_CLOTHES, ids=lambda planted: planted.name)
def test_swallowing_is_found_in_other_clothes(planted: Planted, tmp_path: Path) -> None:
    root = copy_tree(tmp_path / "tree", only=PART)
    plant(root, planted.file, planted.text)
    found = check(root, consumers=IN_PART)
    assert {(finding.file, finding.rule) for finding in found} == {(planted.file, "swallows")}


@pytest.mark.parametrize("text", NAMESAKES)
def test_a_consumer_that_calls_a_namesake_does_not_ask(text: str, tmp_path: Path) -> None:
    root = copy_tree(tmp_path / "tree", only=PART)
    plant(root, "worker/namesake.py", "async def container_state(*_): ...")
    plant(root, "worker/work.py", text)
    found = check(root, consumers=(*IN_PART, "worker"))
    assert {(finding.file, finding.rule) for finding in found} == {("worker/", "does not ask")}


@pytest.mark.parametrize("method", ["inspect_container_state", "list_container_states"])
def test_the_gate_says_so_when_its_subject_is_renamed(method: str, tmp_path: Path) -> None:
    root = copy_tree(tmp_path / "tree", only=PART)
    engine = root / "shared/engine.py"
    engine.write_text(engine.read_text().replace(f"def {method}", "def look"))
    assert method in findings(root, consumers=IN_PART)


def test_the_message_teaches() -> None:
    for wanted in ("shared.running.container_state", "shared/running.py", "docs/decisions/gates.md"):
        assert wanted in WHY
    assert len(WHY.strip().splitlines()) <= 6
