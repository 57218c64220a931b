"""The api's table and its plot in docs, made of what was measured."""

from collections.abc import Iterator
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.bench import page
from tests.bench.api_results import ApiResults, Comparison
from tests.bench.page import OTHER_COLOUR, OUR_COLOUR, REFERENCE_COLOUR, short
from tests.bench.sizes import CACHED, NGINX, OURS, REFERENCE

RAW, PLOT = "benchmarks/api.json", "benchmarks/api.svg"
_COLOURS = {REFERENCE: REFERENCE_COLOUR, CACHED: "#dda98f", NGINX: OTHER_COLOUR, OURS: OUR_COLOUR}
_COLUMNS = 3


def write(results: ApiResults, docs: Path) -> None:
    """Renew the raw numbers, the plot, and the part of the page that is made of them."""
    results.save(docs / RAW)
    page.put(docs, "api", section(results))
    _plot(results, docs / PLOT)


def section(results: ApiResults) -> str:
    """The part of the page between its marks, both included."""
    where = f"{results.machine}; medians of {results.rounds} rounds."
    return page.marked("api", [where, "", *_table(results)])


def _table(results: ApiResults) -> Iterator[str]:
    yield "| work | | beside | theirs | ours | ratio | promised |"
    yield "|---|---|---|--:|--:|--:|--:|"
    seen = None
    for comparison in results.comparisons:
        theirs, ours = (results.spread(comparison, side).median for side in (comparison.other, OURS))
        ratio = results.ratio(comparison)
        cells = [
            results.sizes.title(comparison.work) if comparison.work != seen else "",
            comparison.scale.title,
            comparison.other,
            comparison.scale.text(theirs),
            comparison.scale.text(ours),
            f"**{_times(ratio.median)}x** ({_times(ratio.low)}-{_times(ratio.high)})",
            f"{comparison.promised:g}x" if comparison.promised else "",
        ]
        seen = comparison.work
        yield f"| {' | '.join(cells)} |"


def _times(ratio: float) -> str:
    return short(ratio) if ratio >= 1.5 else f"{ratio:.2f}"


def _plot(results: ApiResults, path: Path) -> None:
    panels: dict[tuple[str, str], list[Comparison]] = {}
    for comparison in results.comparisons:
        panels.setdefault((comparison.work, comparison.scale.title), []).append(comparison)
    rows = -(-len(panels) // _COLUMNS)
    figure = Figure(figsize=(12, 3.2 * rows), layout="constrained")
    grid = figure.subplots(rows, _COLUMNS, squeeze=False).flat
    for axes, comparisons in zip(grid, panels.values(), strict=False):
        _panel(axes, results, comparisons)
    for axes in grid[len(panels) :]:
        axes.remove()
    figure.suptitle(f"{results.machine}; medians of {results.rounds} rounds, bars are quartiles", fontsize=10)
    page.save(figure, path)


def _panel(axes: Axes, results: ApiResults, comparisons: list[Comparison]) -> None:
    first = comparisons[0]
    sides = [*(comparison.other for comparison in comparisons), OURS]
    shown = [results.spread(first, side).shown(first.scale.of) for side in sides]
    heights = [spread.median for spread in shown]
    bars = axes.bar(
        [side.replace(", ", ",\n") for side in sides],
        heights,
        yerr=page.whiskers(shown),
        color=[_COLOURS[side] for side in sides],
        width=0.6,
        capsize=4,
    )
    axes.bar_label(bars, [f"{short(height)}{first.scale.unit}" for height in heights], padding=3)
    axes.set_title(f"{results.sizes.title(first.work)}:\n{first.scale.title}", fontsize=10)
    axes.margins(y=0.25)  # room for the numbers
    page.unframe(axes)
