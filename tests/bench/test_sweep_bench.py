"""The benchmark itself: it runs, what it says is true of a small fleet, and docs say what it measured."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.bench.page import PAGE
from tests.bench.report import PLOT, RAW, section
from tests.bench.results import Case, Results, cpu, wall
from tests.bench.running import DOCS, run_benchmark


async def _benchmark(docs: Path, *arguments: str) -> Results:
    await run_benchmark("sweep", docs, *arguments)
    return Results.load(docs / RAW)


def _biggest_alive(cases: Sequence[Case]) -> Case:
    return max((case for case in cases if not case.dead), key=lambda case: case.containers)


@pytest.mark.long
@pytest.mark.usefixtures("processes")
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
