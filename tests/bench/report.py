"""The sweep's tables and its plot in docs, made of what was measured."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.bench import page
from tests.bench.page import OTHER_COLOUR, OUR_COLOUR, REFERENCE_COLOUR, short
from tests.bench.results import Case, Quantity, Results, cpu, wall
from tests.bench.spread import Spread

RAW, PLOT = "benchmarks/sweep.json", "benchmarks/sweep.svg"


def write(results: Results, docs: Path) -> None:
    """Renew the raw numbers, the plot, and the part of the page that is made of them."""
    results.save(docs / RAW)
    page.put(docs, "sweep", section(results))
    _plot(results, docs / PLOT)


def section(results: Results) -> str:
    """The part of the page between its marks, both included."""
    cases = results.cases
    where = f"{results.machine}; medians of {len(cases[0].ours)} rounds."
    lines = [where, "", *_ratios(cases), "", *_shares(cases), "", *_go_client(cases)]
    return page.marked("sweep", lines)


def _ratios(cases: list[Case]) -> Iterator[str]:
    yield "| containers | dead | wall, reference | wall, ours | ratio | CPU, reference | CPU, ours | ratio |"
    yield "|--:|--:|--:|--:|--:|--:|--:|--:|"
    for case in cases:
        cells = [f"{case.containers}", f"{case.dead}"]
        for quantity in (wall, cpu):
            cells += [f"{short(median(map(quantity, side)))} ms" for side in (case.reference, case.ours)]
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
            yield f"| {case.containers} | {case.dead} | {name} | {' | '.join(map(short, shares))} |"


def _go_client(cases: list[Case]) -> Iterator[str]:
    measured = [case for case in cases if case.go_client]
    for case in measured[-1:]:
        inspects, ratios, reference = (
            [f"{short(median(map(quantity, case.go_client)))} ms" for quantity in (wall, cpu)],
            [f"{case.ratio(quantity, case.go_client).median:.1f}x" for quantity in (wall, cpu)],
            [f"{short(median(map(quantity, case.reference)))} ms" for quantity in (wall, cpu)],
        )
        yield (
            f"Does the reference suffer from being Python? The {case.containers} inspects alone, made in "
            "turn by Docker's own client in Go (`docker container inspect`, its start subtracted), take "
            f"{inspects[0]} and {inspects[1]} of CPU, {ratios[0]} and {ratios[1]} of our whole sweep; "
            f"the whole reference takes {reference[0]} and {reference[1]}."
        )


def _plot(results: Results, path: Path) -> None:
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
    page.save(figure, path)


def _panel(axes: Axes, cases: list[Case], quantity: Quantity) -> None:
    sizes = [case.containers for case in cases]
    series = [
        ("reference: one inspect each", REFERENCE_COLOUR, "s-", [case.reference for case in cases]),
        ("healthsweep: one list", OUR_COLOUR, "o-", [case.ours for case in cases]),
    ]
    if all(case.go_client for case in cases):
        series.append(
            ("the inspects alone, by Docker's client", OTHER_COLOUR, "^:", [c.go_client for c in cases])
        )
    for name, colour, style, sides in series:
        spreads = [Spread.of([quantity(cost) for cost in costs]) for costs in sides]
        medians = [spread.median for spread in spreads]
        axes.errorbar(
            sizes, medians, yerr=page.whiskers(spreads), label=name, color=colour, fmt=style, capsize=4
        )
    ratios = [case.ratio(quantity).median for case in cases]
    axes.set_xticks(sizes, [f"{size}\n{ratio:.1f}x" for size, ratio in zip(sizes, ratios, strict=True)])
    page.unframe(axes)
