"""The benchmark itself: it runs, what it says is true of a small fleet, and docs say what it measured."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import copy

import pytest

from deploy.children import tied
from tests.bench.report import PAGE, PLOT, RAW, section
from tests.bench.results import Case, Results, cpu, wall
from tests.support.processes import CHECKOUT

DOCS = CHECKOUT / "docs"


async def _benchmark(docs: Path, *arguments: str) -> Results:
    """Run it as its users do: in a process of its own, so that no test and no coverage is measured."""
    (docs / RAW).parent.mkdir()
    copy(DOCS / PAGE, docs / PAGE)
    module = [sys.executable, "-m", "tests.bench.sweep", "--docs", str(docs), *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    process = await asyncio.create_subprocess_exec(*tied(module), cwd=CHECKOUT, env=environment)
    assert await process.wait() == 0
    return Results.load(docs / RAW)


def _biggest_alive(cases: Sequence[Case]) -> Case:
    return max((case for case in cases if not case.dead), key=lambda case: case.containers)


async def test_a_small_run_writes_its_table_its_plot_and_its_numbers(tmp_path: Path) -> None:
    results = await _benchmark(tmp_path, "--containers", "10,30", "--rounds", "3")

    assert [(case.containers, case.dead) for case in results.cases] == [(10, 0), (30, 0), (10, 1), (30, 3)]
    assert section(results) in (tmp_path / PAGE).read_text()
    assert (tmp_path / PLOT).read_text().count("one inspect each") == 1
    thirty = _biggest_alive(results.cases)
    assert thirty.ratio(wall).median > 1.2
    assert thirty.ratio(cpu).median > 1.2


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_sweep_of_300_takes_a_fraction_of_the_reference(tmp_path: Path) -> None:
    case = _biggest_alive((await _benchmark(tmp_path)).cases)

    assert case.containers == 300
    assert case.ratio(wall).median >= 3.5
    assert case.ratio(cpu).median >= 4.5


def test_docs_show_a_full_run_that_keeps_the_promise() -> None:
    results = Results.load(DOCS / RAW)
    assert section(results) in (DOCS / PAGE).read_text()
    assert (DOCS / PLOT).exists()

    case = _biggest_alive(results.cases)
    assert case.containers == 300
    assert len(case.ours) >= 9
    assert case.ratio(wall).median >= 3.5
    assert case.ratio(cpu).median >= 4.5
