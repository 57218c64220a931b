"""The table and the plot in docs, made of what was measured."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.bench.results import Case, Quantity, Results, Spread, cpu, wall

PAGE, RAW, PLOT = "benchmarks.md", "benchmarks/sweep.json", "benchmarks/sweep.svg"
_BEGIN, _END = "<!-- sweep: written by tests.bench.sweep -->", "<!-- sweep: end -->"


def write(results: Results, docs: Path) -> None:
    """Renew the raw numbers, the plot, and the part of the page that is made of them."""
    results.save(docs / RAW)
    page = docs / PAGE
    before, _, rest = page.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    page.write_text(f"{before}{section(results)}{after}")
    _plot(results, docs / PLOT)


def section(results: Results) -> str:
    """The part of the page between its marks, both included."""
    machine, cases = results.machine, results.cases
    where = (
        f"{machine.cores} cores, dockerd {machine.dockerd}, PostgreSQL {machine.postgresql}, "
        f"Python {machine.python}; medians of {len(cases[0].ours)} rounds."
    )
    lines = [_BEGIN, where, "", *_ratios(cases), "", *_shares(cases), "", *_go_client(cases), _END]
    return "\n".join(lines)


def _ratios(cases: list[Case]) -> Iterator[str]:
    yield "| containers | dead | wall, reference | wall, ours | ratio | CPU, reference | CPU, ours | ratio |"
    yield "|--:|--:|--:|--:|--:|--:|--:|--:|"
    for case in cases:
        cells = [f"{case.containers}", f"{case.dead}"]
        for quantity in (wall, cpu):
            cells += [f"{_ms(median(map(quantity, side)))} ms" for side in (case.reference, case.ours)]
            ratio = case.ratio(quantity)
            cells.append(f"**{ratio.median:.1f}x** ({ratio.low:.1f}-{ratio.high:.1f})")
        yield f"| {' | '.join(cells)} |"


def _shares(cases: list[Case]) -> Iterator[str]:
    yield "| containers | dead | | client | dockerd | PostgreSQL |"
    yield "|--:|--:|---|--:|--:|--:|"
    for case in cases:
        for name, costs in (("reference", case.reference), ("ours", case.ours)):
            shares = (
                median(cost.client_ms for cost in costs),
                median(cost.engine_ms for cost in costs),
                median(cost.database_ms for cost in costs),
            )
            yield f"| {case.containers} | {case.dead} | {name} | {' | '.join(map(_ms, shares))} |"


def _go_client(cases: list[Case]) -> Iterator[str]:
    measured = [case for case in cases if case.go_client]
    for case in measured[-1:]:
        inspects, ratios, reference = (
            [f"{_ms(median(map(quantity, case.go_client)))} ms" for quantity in (wall, cpu)],
            [f"{case.ratio(quantity, case.go_client).median:.1f}x" for quantity in (wall, cpu)],
            [f"{_ms(median(map(quantity, case.reference)))} ms" for quantity in (wall, cpu)],
        )
        yield (
            f"Does the reference suffer from being Python? The {case.containers} inspects alone, made in "
            "turn by Docker's own client in Go (`docker container inspect`, its start subtracted), take "
            f"{inspects[0]} and {inspects[1]} of CPU, {ratios[0]} and {ratios[1]} of our whole sweep; "
            f"the whole reference takes {reference[0]} and {reference[1]}."
        )


def _ms(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _plot(results: Results, path: Path) -> None:
    # The same numbers make the same file, and its text stays text.
    mpl.rcParams.update({"svg.hashsalt": "healthsweep", "svg.fonttype": "none"})
    figure = Figure(figsize=(9, 7), layout="constrained")
    rows = [("all alive", [case for case in results.cases if not case.dead])]
    rows += [("a tenth dead", [case for case in results.cases if case.dead])]
    columns: list[tuple[str, Quantity]] = [("wall time", wall), ("CPU time, client and dockerd", cpu)]
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for axes_row, (scenario, cases) in zip(grid, rows, strict=True):
        for axes, (title, quantity) in zip(axes_row, columns, strict=True):
            _panel(axes, cases, quantity)
            axes.set(
                title=f"{title}, {scenario}",
                xlabel="containers; how many times more the reference takes",
                ylabel="ms per sweep",
            )
    grid[0][0].legend(loc="upper left", frameon=False)
    machine = results.machine
    figure.suptitle(
        f"One sweep: {machine.cores} cores, dockerd {machine.dockerd}; medians of "
        f"{len(results.cases[0].ours)} rounds, bars are quartiles",
        fontsize=10,
    )
    figure.savefig(path, metadata={"Date": None})


def _panel(axes: Axes, cases: list[Case], quantity: Quantity) -> None:
    sizes = [case.containers for case in cases]
    series = [
        ("reference: one inspect each", "#b3541e", "s-", [case.reference for case in cases]),
        ("healthsweep: one list", "#1e6fb3", "o-", [case.ours for case in cases]),
    ]
    if all(case.go_client for case in cases):
        series.append(
            ("the inspects alone, by Docker's client", "#808080", "^:", [c.go_client for c in cases])
        )
    for name, colour, style, sides in series:
        spreads = [Spread.of([quantity(cost) for cost in costs]) for costs in sides]
        medians = [spread.median for spread in spreads]
        below = [spread.median - spread.low for spread in spreads]
        above = [spread.high - spread.median for spread in spreads]
        axes.errorbar(sizes, medians, yerr=[below, above], label=name, color=colour, fmt=style, capsize=4)
    ratios = [case.ratio(quantity).median for case in cases]
    axes.set_xticks(sizes, [f"{size}\n{ratio:.1f}x" for size, ratio in zip(sizes, ratios, strict=True)])
    axes.set_ylim(bottom=0)
    axes.margins(x=0.12)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
