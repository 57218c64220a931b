"""The report for people: in a terminal with colours and folded to its width, elsewhere plain."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from deploy.command.triage.callers import refused_external
from deploy.command.triage.facts import Sample
from deploy.command.triage.harmless import harmless, shown
from deploy.command.triage.incident import Fault, Incident, many
from deploy.command.triage.lines import word
from deploy.command.triage.report import Report
from deploy.command.triage.timeline import Lane, Timeline
from deploy.command.triage.times import clock, day, moment
from deploy.command.triage.workspaces import flapping
from deploy.handbook import where

_MOST_INCIDENTS = 20
_MOST_ROWS = 10
_MOST_LINES = 200
_LABEL, _TOTAL, _WIDEST = 11, 10, 78
_COMMON = frozenset({"ts", "level", "process", "event", "sweep_id", "exception", "settings"})
_WHOSE = frozenset({"workspace_id", "container_name", "request_id"})
_TONES = {"bad": "red", "warn": "yellow", "good": "green", "plain": "blue"}
_LEVEL_STYLES = {"critical": "bold red", "error": "red", "warning": "yellow"}
_SKIPPED = {
    "broken": "broken JSON",
    "cut": "cut off",
    "foreign": "foreign JSON",
    "plain": "plain text",
    "too_big": "too big for the journal's JSON (journalctl --all shows them)",
    "without_time": "without a time",
}


def render(report: Report, *, width: int, unicode: bool) -> RenderableType:
    """All of it, for a console that is `width` wide and can show more than ASCII, or not."""
    parts: list[RenderableType] = [_head(report)]
    for fault, found in groupby(report.incidents, key=lambda incident: incident.fault):
        parts += ["", *_incidents(fault, list(found), dated=_dated(report), unicode=unicode)]
    line = report.timeline(min(width, _WIDEST) - _LABEL - _TOTAL)
    if line is not None and line.lanes and report.request is None:
        parts += ["", _heading("Timeline"), _timeline(line, unicode=unicode)]
    if not report.story:
        parts += _tables(report)
    else:
        parts += ["", _heading("Its lines"), *_story(report, dated=_dated(report))]
    return Group(*parts)


def print_report(report: Report, console: Console) -> None:
    """Print it, without the spaces that fill a table's last column."""
    unicode = console.encoding.lower().startswith("utf")
    with console.capture() as printed:
        console.print(render(report, width=console.width, unicode=unicode), highlight=False, crop=False)
    console.file.write("".join(f"{line.rstrip()}\n" for line in printed.get().splitlines()))


def _dated(report: Report) -> bool:
    extent = report.facts.extent
    return extent is not None and day(extent[0]) != day(extent[1])


def _heading(text: str) -> Text:
    return Text(text, style="bold")


def _head(report: Report) -> RenderableType:
    facts = report.facts
    about = f" about workspace {report.workspace}" if report.workspace else ""
    about += f" about request {harmless(report.request)}" if report.request else ""
    read = Text(f"{many(facts.lines, 'line')}{about}")
    if facts.extent:
        began, ended = facts.extent
        until = clock(ended) if day(began) == day(ended) else f"{day(ended)} {clock(ended)}"
        read.append(f", {day(began)} {clock(began)} to {until} UTC")
    if report.earlier:
        read.append(f"; {report.earlier:,} earlier")
    read.stylize("dim")
    parts: list[RenderableType] = [read]
    if facts.skipped:
        kinds = ", ".join(f"{count:,} {_SKIPPED[kind]}" for kind, count in sorted(facts.skipped.items()))
        parts.append(Text(f"{many(facts.skipped.total(), 'line')} skipped: {kinds}", style="dim"))
    parts.append(Text(report.verdict, style="bold" if report.incidents else "bold green"))
    return Group(*parts)


def _incidents(
    fault: Fault, found: list[Incident], *, dated: bool, unicode: bool
) -> Iterable[RenderableType]:
    yield _heading(f"{fault.whose[0].upper()}{fault.whose[1:]}")
    shown_, rest = found[:_MOST_INCIDENTS], len(found) - _MOST_INCIDENTS
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for incident in shown_:
        style = "bold red" if incident.ended is None else "cyan"
        table.add_row(Text(incident.span(dated=dated), style=style), Text(harmless(incident.summary)))
    yield Padding(table, (0, 0, 0, 2), expand=False)
    if rest > 0:
        yield Text(f"  and {many(rest, 'incident')} more: --json has them all")
    for entry in dict.fromkeys(entry for incident in shown_ for entry in incident.entries):
        # A path is never folded by us: a terminal that folds it lets it be copied whole.
        arrow = "→" if unicode else "->"
        yield Text(f"  {arrow} {where(entry)}", style="dim", no_wrap=True, overflow="ignore")


def _timeline(line: Timeline, *, unicode: bool) -> RenderableType:
    table = Table.grid(padding=0)
    table.add_column(width=_LABEL, no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    columns = len(line.lanes[0].values)
    began, ended = clock(line.began), clock(line.ended)
    middle = clock((line.began + line.ended) / 2)
    ruler = f"{began}{middle:^{columns - len(began) - len(ended)}}{ended}"
    table.add_row("", Text(ruler, style="dim"), "")
    for lane in line.lanes:
        table.add_row(lane.name, _drawn(lane, unicode=unicode), Text(f" {lane.total}", style="dim"))
    return table


def _drawn(lane: Lane, *, unicode: bool) -> Text:
    steps, empty = ("▁▂▃▄▅▆▇█", "·") if unicode else (".:-=+*#@", " ")
    if lane.form == "band":
        steps = "━" if unicode else "="
    top = max(lane.values)
    drawn = Text()
    for value in lane.values:
        if value:
            step = steps[min(len(steps) - 1, int(value / top * len(steps)))]
            drawn.append(step, style=_TONES[lane.tone])
        else:
            drawn.append(empty, style="dim")
    return drawn


def _tables(report: Report) -> Iterable[RenderableType]:
    if errors := report.errors:
        yield from _errors(errors)
    rows: list[tuple[str, ...]]
    if sweeps := [sweep for sweep in report.facts.slowest if sweep.duration_ms][:5]:
        rows = [
            (f"{s.duration_ms:,.0f}", f"{s.list_ms:,.0f}", str(s.checked), str(s.inspects), clock(s.at))
            for s in sweeps
        ]
        yield from _table("Slowest sweeps", (">MS", ">OF IT LIST", ">CHECKED", ">INSPECTS", "AT"), rows)
    if flaps := flapping(report.facts):
        rows = [
            (workspace, str(offline), str(online), ", ".join(f"{n} {why}" for why, n in reasons.items()))
            for workspace, offline, online, reasons in flaps[:_MOST_ROWS]
        ]
        yield from _table("Flapping workspaces", ("WORKSPACE", ">OFFLINE", ">ONLINE", "WHY"), rows)
    if external := refused_external(report.facts):
        rows = [
            (workspace, str(count), clock(first), clock(last))
            for workspace, count, first, last in external[:_MOST_ROWS]
        ]
        yield from _table("Refused as external", ("WORKSPACE", ">REQUESTS", "FIRST", "LAST"), rows)


def _errors(errors: list[tuple[str, str, Sample]]) -> Iterable[RenderableType]:
    yield from ("", _heading("Top errors"))
    for event, code, sample in errors[:_MOST_ROWS]:
        text = Text(f"  {sample.count:>7,}  ", style=_LEVEL_STYLES.get(sample.level, ""))
        text.append(" ".join(filter(None, (event, harmless(code)))), style="bold")
        times = dict.fromkeys((clock(sample.first), clock(sample.last)))
        text.append(f" {'-'.join(times)}", style="dim")
        yield text
        if example := _keys(sample.example, code):
            yield Text(f"{'':11}{example}", style="dim", no_wrap=True, overflow="ellipsis")


def _table(
    title: str, headings: tuple[str, ...], rows: Iterable[tuple[Text | str, ...]]
) -> Iterable[RenderableType]:
    """Headings that begin with > are numbers."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        last = heading == headings[-1]
        table.add_column(
            heading.removeprefix(">"),
            justify="right" if heading.startswith(">") else "left",
            no_wrap=not last,
            overflow="fold" if last else "ellipsis",
        )
    for row in rows:
        table.add_row(*(Text(harmless(cell)) if isinstance(cell, str) else cell for cell in row))
    yield from ("", _heading(title), Padding(table, (0, 0, 0, 2), expand=False))


def _keys(keys: Mapping[str, Any], *told: str | None) -> str:
    """What a line says that not every line says and that was not `told` already; whose it is comes last."""
    said = [(name, value) for name, value in keys.items() if name not in _COMMON]
    said.sort(key=lambda pair: pair[0] in _WHOSE)
    return " ".join(
        f"{shown(name)}={shown(value)}" for name, value in said if word(keys, name) not in ("", *told)
    )


def _story(report: Report, *, dated: bool) -> Iterable[RenderableType]:
    lines = report.story
    if len(lines) > _MOST_LINES:
        yield Text(f"  {len(lines) - _MOST_LINES:,} earlier ones are left out: --json has them", style="dim")
    told = (report.request, report.workspace, f"ws-{report.workspace}")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for line in lines[-_MOST_LINES:]:
        when = f"{day(line.at)} {moment(line.at)[11:-1]}" if dated else moment(line.at)[11:-1]
        text = Text(f"{line.event} ", style=_LEVEL_STYLES.get(word(line.keys, "level"), "bold"))
        text.append(_keys(line.keys, *told), style="not bold default")
        table.add_row(Text(when, style="dim"), word(line.keys, "process"), text)
    yield Padding(table, (0, 0, 0, 2), expand=False)
