"""The timeline as a drawing inside a page."""

from collections.abc import Iterable
from html import escape
from itertools import groupby

from deploy.command.triage.timeline import Lane, Timeline
from deploy.command.triage.times import clock, day

_WIDTH, _LEFT, _RIGHT = 1000, 92, 84
_LANE, _BAR, _TOP = 34, 24, 26
_TICKS = 4

STYLE = """svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
svg .soft { fill: var(--soft); font-size: 12px; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .bad { fill: var(--bad); } svg .warn { fill: var(--warn); }
svg .good { fill: var(--good); } svg .plain { fill: var(--plain); }
"""


def drawing(line: Timeline) -> str:
    """An `svg` element: a lane each, with its name on the left and its total on the right."""
    height = _TOP + _LANE * len(line.lanes) + 4
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="What happened when">',
        *_ticks(line, height),
    ]
    for number, lane in enumerate(line.lanes):
        parts += _lane(lane, _TOP + _LANE * number, line)
    return "\n".join((*parts, "</svg>"))


def _ticks(line: Timeline, height: int) -> Iterable[str]:
    inner = _WIDTH - _LEFT - _RIGHT
    days = day(line.began) != day(line.ended)
    for number in range(_TICKS + 1):
        x = _LEFT + inner * number / _TICKS
        at = line.began + (line.ended - line.began) * number / _TICKS
        anchor = "start" if number == 0 else "end" if number == _TICKS else "middle"
        said = f"{day(at)[5:]} {clock(at)[:5]}" if days else clock(at)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{height}"/>'
        yield f'<text class="soft" x="{x:.1f}" y="12" text-anchor="{anchor}">{said}</text>'


def _lane(lane: Lane, top: int, line: Timeline) -> Iterable[str]:
    base = top + _BAR
    yield f'<text x="0" y="{base - 6}">{escape(lane.name)}</text>'
    yield f'<text class="soft" x="{_WIDTH}" y="{base - 6}" text-anchor="end">{escape(lane.total)}</text>'
    yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>'
    width = (_WIDTH - _LEFT - _RIGHT) / len(lane.values)
    highest = max(lane.values)
    step = (line.ended - line.began) / len(lane.values)
    for first, count, value in _runs(lane):
        tall = _BAR - 8 if lane.form == "band" else max(2.0, value / highest * _BAR)
        said = clock(line.began + step * first) + (f" {value:,.0f}" if lane.form == "bars" else "")
        yield (
            f'<rect class="{lane.tone}" x="{_LEFT + width * first:.1f}" y="{base - tall:.1f}" '
            f'width="{max(2.0, width * count):.1f}" height="{tall:.1f}"><title>{said}</title></rect>'
        )


def _runs(lane: Lane) -> Iterable[tuple[int, int, float]]:
    """Where each begins, how long it is, its value: a band's columns that touch are one, a bar is a bar."""
    first = 0
    for value, run in groupby(lane.values):
        count = len(list(run))
        if value and lane.form == "band":
            yield first, count, value
        elif value:
            yield from ((first + number, 1, value) for number in range(count))
        first += count
