"""The report as one page for a browser: plots inside, nothing fetched, every value of a log escaped."""

import json
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby

from deploy.command.triage.callers import refused_external
from deploy.command.triage.drawing import STYLE, drawing
from deploy.command.triage.facts import Sample
from deploy.command.triage.harmless import harmless
from deploy.command.triage.incident import Incident, many
from deploy.command.triage.report import Report
from deploy.command.triage.times import clock, day, lasting, moment
from deploy.command.triage.workspaces import flapping
from deploy.handbook import where

_COLUMNS = 240
_MOST_INCIDENTS = 500
_MOST_ROWS = 100

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>healthsweep triage</title>
<style>
:root { color-scheme: light dark;
  --ink: #1c2230; --soft: #667085; --line: #e3e7ee; --page: #f6f7f9; --card: #fff;
  --bad: #c8321f; --warn: #c07a00; --good: #1f8a4c; --plain: #3866c8; }
@media (prefers-color-scheme: dark) { :root {
  --ink: #e6e9ef; --soft: #98a2b3; --line: #2c3340; --page: #12151b; --card: #1a1f28;
  --bad: #ff7464; --warn: #f0b13c; --good: #4cc383; --plain: #7ea6ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 15px; font-weight: 600; color: var(--soft); margin: 0; }
.verdict { font-size: 24px; line-height: 1.3; font-weight: 600; margin: 4px 0 6px; }
h2 { font-size: 15px; margin: 32px 0 8px; }
p.read { color: var(--soft); margin: 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 6px 18px; }
section.plot { padding: 14px 18px 10px; }
article { padding: 10px 0; border-top: 1px solid var(--line); }
article:first-child { border-top: 0; }
article p { margin: 0; overflow-wrap: anywhere; }
article .when { color: var(--soft); font-size: 13px; font-variant-numeric: tabular-nums; }
article .open { color: var(--bad); font-weight: 600; }
article code { font-size: 12px; color: var(--soft); overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-size: 12px; font-weight: 500; color: var(--soft); }
th, td { padding: 7px 16px 7px 0; border-top: 1px solid var(--line); vertical-align: top; }
tr:first-child th { border-top: 0; }
td.n, th.n { text-align: right; }
td { overflow-wrap: anywhere; }
td:first-child { white-space: nowrap; }
pre { margin: 6px 0; font-size: 12px; white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--soft); }
"""


def page(report: Report) -> str:
    """The whole document."""
    body = "\n".join((*_head(report), *_plot(report), *_incidents(report), *_tables(report), *_story(report)))
    return f"{_HEAD}{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"


def _safe(value: object) -> str:
    return escape(harmless(str(value)))


def _head(report: Report) -> Iterable[str]:
    facts = report.facts
    yield "<header>"
    about = [f"of workspace {report.workspace}"] if report.workspace else []
    about += [f"of request {report.request}"] if report.request else []
    yield f"<h1>{_safe(' '.join(['healthsweep triage', *about]))}</h1>"
    yield f'<p class="verdict">{_safe(report.verdict)}</p>'
    read = many(facts.lines, "line")
    if facts.extent:
        began, ended = facts.extent
        read += f" from {day(began)} {clock(began)} to {day(ended)} {clock(ended)} UTC"
    skipped = "; ".join(
        f"{count:,} {kind.replace('_', ' ')}" for kind, count in sorted(facts.skipped.items())
    )
    yield f'<p class="read">{_safe(read)}{f". Skipped: {_safe(skipped)}" if skipped else ""}.</p>'
    yield "</header>"


def _plot(report: Report) -> Iterable[str]:
    line = report.timeline(_COLUMNS)
    if line is not None and line.lanes:
        yield f'<h2>Timeline</h2>\n<section class="plot">\n{drawing(line)}\n</section>'


def _incidents(report: Report) -> Iterable[str]:
    for fault, found in groupby(report.incidents[:_MOST_INCIDENTS], key=lambda incident: incident.fault):
        yield f"<h2>{_safe(fault.whose[0].upper() + fault.whose[1:])}</h2>\n<section>"
        yield from map(_incident, found)
        yield "</section>"
    if (rest := len(report.incidents) - _MOST_INCIDENTS) > 0:
        yield f'<p class="read">And {many(rest, "incident")} more: --json has them all.</p>'


def _incident(incident: Incident) -> str:
    lasted = "still open" if incident.lasted is None else lasting(incident.lasted) if incident.lasted else ""
    parts = [day(incident.began), incident.span().removesuffix("-open"), lasted]
    entries = "".join(f"<p><code>{_safe(where(entry))}</code></p>" for entry in incident.entries)
    style = "when open" if incident.ended is None else "when"
    return (
        f'<article><p class="{style}">{_safe(" · ".join(filter(None, parts)))}</p>'
        f"<p>{_safe(incident.summary)}</p>{entries}</article>"
    )


def _tables(report: Report) -> Iterable[str]:
    yield from _table(
        "Top errors",
        ("#COUNT", "LEVEL", "EVENT", "CODE", "FIRST", "LAST", ""),
        [_error(event, code, sample) for event, code, sample in report.errors[:_MOST_ROWS]],
    )
    yield from _table(
        "Slowest sweeps",
        ("#MS", "#OF IT THE LIST", "#CHECKED", "#INSPECTS", "AT"),
        [
            (
                f"{sweep.duration_ms:,.0f}",
                f"{sweep.list_ms:,.0f}",
                str(sweep.checked),
                str(sweep.inspects),
                moment(sweep.at),
            )
            for sweep in report.facts.slowest
            if sweep.duration_ms
        ],
    )
    yield from _table(
        "Flapping workspaces",
        ("WORKSPACE", "#OFFLINE", "#ONLINE", "WHY"),
        [
            (
                _safe(i),
                str(offline),
                str(online),
                _safe(", ".join(f"{n} {why}" for why, n in reasons.items())),
            )
            for i, offline, online, reasons in flapping(report.facts)[:_MOST_ROWS]
        ],
    )
    yield from _table(
        "Refused as external",
        ("WORKSPACE", "#REQUESTS", "FIRST", "LAST"),
        [
            (_safe(i), str(count), moment(first), moment(last))
            for i, count, first, last in refused_external(report.facts)[:_MOST_ROWS]
        ],
    )


def _error(event: str, code: str, sample: Sample) -> tuple[str, ...]:
    example = json.dumps(dict(sample.example), indent=1, ensure_ascii=True)
    return (
        f"{sample.count:,}",
        _safe(sample.level),
        _safe(event),
        _safe(code),
        clock(sample.first),
        clock(sample.last),
        f"<details><summary>first line</summary><pre>{escape(example)}</pre></details>",
    )


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Cells are markup; headings that begin with # are of numbers."""
    if not rows:
        return
    styles = [' class="n"' if heading.startswith("#") else "" for heading in headings]
    yield f"<h2>{title}</h2>\n<section>\n<table>"
    yield _headings(headings, styles)
    for row in rows:
        filled = zip(row, styles, strict=True)
        yield f"<tr>{''.join(f'<td{style}>{cell}</td>' for cell, style in filled)}</tr>"
    yield "</table>\n</section>"


def _headings(headings: Sequence[str], styles: Sequence[str]) -> str:
    named = zip((heading.removeprefix("#").lower() for heading in headings), styles, strict=True)
    return f"<tr>{''.join(f'<th{style}>{name}</th>' for name, style in named)}</tr>"


def _story(report: Report) -> Iterable[str]:
    if report.story:
        lines = "\n".join(json.dumps(dict(line.keys), ensure_ascii=True) for line in report.story)
        yield f"<h2>Its lines</h2>\n<section><pre>{escape(lines)}</pre></section>"
