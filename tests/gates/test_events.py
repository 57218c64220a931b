"""docs/logs.md and the code name the same events, with the same levels and keys."""

from pathlib import Path

import pytest

from tests.gates.events import BadEvent, explained, logged, other_loggers
from tests.gates.tree import copy_tree, plant
from tests.support.processes import CHECKOUT

TABLE = (CHECKOUT / "docs/logs.md").read_text()


def differences(root: Path, text: str) -> list[str]:
    """Where the code of the tree at `root` and the tables of `text` do not say the same."""
    code, docs = logged(root), explained(text)
    found = [f"{name}: no row in docs/logs.md" for name in sorted(code.keys() - docs.keys())]
    found += [f"{name}: nothing logs it any more" for name in sorted(docs.keys() - code.keys())]
    for name in sorted(code.keys() & docs.keys()):
        event, (row, duty) = code[name], docs[name]
        if event.levels != row.levels:
            found.append(f"{name}: logged as {sorted(event.levels)}, explained as {sorted(row.levels)}")
        if silent := event.keys - row.keys:
            found.append(f"{name}: the row does not name {sorted(silent)}")
        if invented := row.keys - event.keys - event.open:
            found.append(f"{name}: nothing gives it {sorted(invented)}")
        if len(duty.split()) < 3:
            found.append(f"{name}: the row does not say what it means")
    return found


def test_the_table_and_the_code_agree() -> None:
    found = differences(CHECKOUT, TABLE)
    assert not found, "\n".join(found)


def test_every_row_is_read() -> None:
    rows = [line for line in TABLE.splitlines() if line.startswith("| `")]
    assert len(rows) == len(explained(TABLE)), "a row that does not look like the others, or a second one"


def test_nobody_logs_past_the_table() -> None:
    assert list(other_loggers(CHECKOUT)) == []


LOG = "import structlog\nlog = structlog.get_logger()\n"


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        (f"{LOG}log.info('sweep.imagined')", "sweep.imagined: no row"),
        (f"{LOG}log.bind(a=1).error('sweep.imagined')", "sweep.imagined: no row"),
        (f"{LOG}log.error('sweep.held')", "sweep.held: logged as ['error', 'warning']"),
        (f"{LOG}log.exception('sweep.held')", "sweep.held: logged as ['error', 'warning']"),
        (f"{LOG}log.warning('sweep.held', colour=1)", "sweep.held: the row does not name ['colour']"),
        (f"{LOG}log.warning('sweep.held', **dict(colour=1))", ""),
        (f"{LOG}log.warning('sweep.held', workspace_id='x')", ""),
    ],
)
def test_a_call_that_the_table_does_not_know_is_found(planted: str, said: str, tmp_path: Path) -> None:
    root = copy_tree(tmp_path / "tree")
    before = differences(root, TABLE)
    plant(root, "sweeper/extra.py", planted)
    found = [problem for problem in differences(root, TABLE) if problem not in before]
    assert found[0].startswith(said) if said else not found


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("| `sweep.imagined` | info |  | What nobody logs. |", "nothing logs it any more"),
        (
            "| `sweep.released` | info | `of` | It let go again. |",
            "the row does not name ['would_mark_offline']",
        ),
        (
            "| `sweep.released` | info | `would_mark_offline` `of` `hue` | It let go. |",
            "nothing gives it ['hue']",
        ),
        (
            "| `sweep.released` | error | `would_mark_offline` `of` | It let go again. |",
            "logged as ['info'], explained",
        ),
        (
            "| `sweep.released` | info | `would_mark_offline` `of` | Released. |",
            "the row does not say what it means",
        ),
    ],
)
def test_a_row_that_the_code_does_not_know_is_found(row: str, said: str) -> None:
    before = differences(CHECKOUT, TABLE)
    found = [problem for problem in differences(CHECKOUT, f"{TABLE}\n{row}") if problem not in before]
    assert [problem.partition(": ")[2].startswith(said) for problem in found] == [True]


def test_an_event_without_a_row_is_found() -> None:
    rest = "\n".join(line for line in TABLE.splitlines() if not line.startswith("| `sweep.released`"))
    assert "sweep.released: no row in docs/logs.md" in differences(CHECKOUT, rest)


@pytest.mark.parametrize(
    "call",
    [
        "log.info(f'sweep.{1}')",
        "log.info('sweep.%s' % 1)",
        "log.info('sweep.a' if log else 'sweep.b')",
        "log.info('Swept all workspaces')",
        "log.info('swept')",
        "log.info()",
        "log.info(event='sweep.held')",
        "log.warn('sweep.held')",
        "log.log(20, 'sweep.held')",
        "structlog.get_logger().info(f'sweep.{1}')",
    ],
)
def test_an_event_is_one_literal(call: str, tmp_path: Path) -> None:
    root = copy_tree(tmp_path / "tree", only=("shared", "sweeper"))
    plant(root, "sweeper/extra.py", f"{LOG}{call}")
    with pytest.raises(BadEvent, match=r"sweeper/extra\.py:"):
        logged(root)


@pytest.mark.parametrize(
    "text",
    [
        "import logging\nlogging.warning('x')",
        "import logging\nlogger = logging.getLogger()",
        f"{LOG}x = structlog.get_logger()",
    ],
)
def test_a_logger_under_another_name_is_found(text: str, tmp_path: Path) -> None:
    root = copy_tree(tmp_path / "tree", only=("shared", "sweeper"))
    assert list(other_loggers(root)) == []
    plant(root, "sweeper/extra.py", text)
    assert len(list(other_loggers(root))) == 1
