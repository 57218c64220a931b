"""docs/benchmarks.md, parts of which are written by benchmarks, and the plots in it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.bench.spread import Spread

PAGE = "benchmarks.md"
REFERENCE_COLOUR, OUR_COLOUR, OTHER_COLOUR = "#b3541e", "#1e6fb3", "#808080"

# The same numbers make the same file, and its text stays text.
mpl.rcParams.update({"svg.hashsalt": "healthsweep", "svg.fonttype": "none"})


def marked(name: str, lines: Iterable[str]) -> str:
    """The part that `python -m tests.bench.NAME` writes: `lines` between its marks."""
    return "\n".join([_begin(name), *lines, _end(name)])


def put(docs: Path, name: str, part: str) -> None:
    """Put `part`, which is `marked`, into the page in the place of the one that is there.

    Raises ValueError if the page has no such marks.
    """
    page = docs / PAGE
    before, begin, rest = page.read_text().partition(_begin(name))
    _, end, after = rest.partition(_end(name))
    if not begin or not end:
        raise ValueError(f"{page} has no part of {name}")
    page.write_text(f"{before}{part}{after}")


def save(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})


def unframe(axes: Axes) -> None:
    """From zero, with light lines to read heights by and no frame."""
    axes.set_ylim(bottom=0)
    axes.margins(x=0.12)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def whiskers(spreads: Sequence[Spread]) -> list[list[float]]:
    """From the medians down to the lower quartiles, and up to the upper ones."""
    return [
        [spread.median - spread.low for spread in spreads],
        [spread.high - spread.median for spread in spreads],
    ]


def short(value: float) -> str:
    """Three digits of a number, no more than one of them after the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _begin(name: str) -> str:
    return f"<!-- {name}: written by tests.bench.{name} -->"


def _end(name: str) -> str:
    return f"<!-- {name}: end -->"
