"""The benchmark itself: it runs, what it says is true of a small run, and docs say what it measured."""

from pathlib import Path

import pytest

from tests.bench.api_report import PLOT, RAW, section
from tests.bench.api_results import COMPARISONS, ApiResults
from tests.bench.page import PAGE
from tests.bench.running import DOCS, run_benchmark
from tests.bench.sizes import FULL, NGINX
from tests.bench.works import WORKS

LEAST_ROUNDS = 7


async def _benchmark(docs: Path, *arguments: str) -> ApiResults:
    await run_benchmark("api", docs, *arguments)
    return ApiResults.load(docs / RAW)


@pytest.mark.long
@pytest.mark.usefixtures("processes")
async def test_a_small_run_writes_its_table_its_plot_and_its_numbers(tmp_path: Path) -> None:
    results = await _benchmark(tmp_path, "--small", "--rounds", "1")

    assert results.runs.keys() == WORKS.keys()
    assert results.comparisons == list(COMPARISONS)
    assert section(results) in (tmp_path / PAGE).read_text()
    assert (tmp_path / PLOT).read_text().count("heartbeats, 16 clients at once") == 3
    for comparison in COMPARISONS:
        if comparison.promised and comparison.promised > 1 and comparison.other != NGINX:
            ratio = results.ratio(comparison).median
            assert ratio > 1.2, f"{comparison.work}, {comparison.scale.title}: {ratio:.2f}x"


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_a_full_run_keeps_every_promise(tmp_path: Path) -> None:
    assert (await _benchmark(tmp_path)).broken() == []


def test_docs_show_a_full_run_that_keeps_every_promise() -> None:
    results = ApiResults.load(DOCS / RAW)
    assert section(results) in (DOCS / PAGE).read_text()
    assert (DOCS / PLOT).exists()

    assert results.sizes == FULL
    assert results.comparisons == list(COMPARISONS)
    assert results.rounds >= LEAST_ROUNDS
    assert results.broken() == []
