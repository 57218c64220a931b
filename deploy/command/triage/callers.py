"""What was asked for and refused: pushes to external workspaces, wrong tokens, too much, bad plugins."""

from collections import Counter
from collections.abc import Iterable, Iterator

from deploy.command.triage.facts import TROUBLE_GAP_S, Facts
from deploy.command.triage.incident import Fault, Incident, Kind, many, whom
from deploy.command.triage.outages import SLACK_S
from deploy.command.triage.spans import Span
from deploy.handbook import Entry

_TOLD_ELSEWHERE = frozenset({"container_not_running", "container_engine_unavailable", "platform_unavailable"})
_INSTALL_FAULTS = {
    "container_not_writable": Fault.WORKSPACE,
    "container_lacks_shell": Fault.WORKSPACE,
    "copy_failed": Fault.DOCKER,
    "storage_full": Fault.HOST,
    "internal_error": Fault.HEALTHSWEEP,
}
_OFTEN = 5


def caller_incidents(facts: Facts) -> Iterator[Incident]:
    """Each kind of refusal, those together that follow each other."""
    yield from _external(facts)
    for span in facts.spans("rejected"):
        whys = ", ".join(f"{count} {why}" for why, count in sorted(span.tallies.items()))
        yield _of(
            span,
            Kind.AUTH_REJECTED,
            Fault.CALLER,
            Entry.AUTH_REJECTED,
            f"{many(span.count, 'request')} got 401 (the token: {whys})",
            requests=span.count,
        )
    for span in facts.spans("limited"):
        yield _of(
            span,
            Kind.RATE_LIMITED,
            Fault.CALLER,
            Entry.RATE_LIMITED,
            f"{many(span.count, 'request')} got 429: more than RATE_LIMIT ({_limits(span)} a minute)",
            requests=span.count,
        )
    for (kind, code), spans in sorted(facts.troubles.items()):
        for span in spans if kind == "install_failed" and code not in _TOLD_ELSEWHERE else ():
            yield _of(
                span,
                Kind.INSTALL_FAILED,
                _INSTALL_FAULTS.get(code, Fault.CALLER),
                Entry.INSTALL_FAILED,
                f"{many(span.count, 'plugin install')} failed: {code}",
                requests=span.count,
            )
    yield from _rows(facts)


def refused_external(facts: Facts) -> list[tuple[str, int, float, float]]:
    """Of each external workspace how many pushes to it were refused, the first and the last; most first."""
    found = [
        (
            workspace_id,
            sum(span.count for span in spans),
            min(span.first for span in spans),
            max(span.last for span in spans),
        )
        for workspace_id, workspace in facts.workspaces.items()
        if len(spans := workspace.external)
    ]
    return sorted(found, key=lambda row: (-row[1], row[0]))


def _external(facts: Facts) -> Iterator[Incident]:
    spans = [(i, span) for i, workspace in facts.workspaces.items() for span in workspace.external]
    groups: list[tuple[Span, set[str]]] = []
    for workspace_id, span in sorted(spans, key=lambda pair: (pair[1].first, pair[0])):
        if not groups or span.first > groups[-1][0].last + TROUBLE_GAP_S:
            groups.append((Span(span.first, span.last), set()))
        groups[-1][0].absorb(span)
        groups[-1][1].add(workspace_id)
    for span, members in groups:
        workspaces = tuple(sorted(members))
        verb = "is" if len(workspaces) == 1 else "are"
        yield _of(
            span,
            Kind.EXTERNAL_REFUSED,
            Fault.CALLER,
            Entry.EXTERNAL_WORKSPACE,
            f"{many(span.count, 'push')} refused with 422: {whom(workspaces)} {verb} external and must pull",
            requests=span.count,
            workspaces=workspaces,
        )


def _rows(facts: Facts) -> Iterable[Incident]:
    for span in facts.spans("mark_skipped"):
        if span.count >= _OFTEN:
            yield _of(
                span,
                Kind.OTHER_WRITER,
                Fault.OPERATOR,
                Entry.OTHER_WRITER,
                f"{many(span.count, 'mark')} not written: another program changed these rows just then",
            )
    for span in facts.spans("unjudged"):
        yield _of(
            span,
            Kind.WORKSPACE_UNJUDGED,
            Fault.CONFIGURATION,
            Entry.NOT_WATCHED,
            f"{many(span.count, 'row')} that cannot be judged or written: workspace.skipped says why",
        )
    for span in facts.spans("registry"):
        yield _of(
            span,
            Kind.REGISTRY_UNREADABLE,
            Fault.CONFIGURATION,
            Entry.INSTALL_FAILED,
            "the registry of plugins could not be read: look at PLUGINS_DIR and its permissions",
        )


def _of(
    span: Span,
    kind: Kind,
    fault: Fault,
    entry: Entry,
    summary: str,
    *,
    requests: int = 0,
    workspaces: tuple[str, ...] = (),
) -> Incident:
    return Incident(
        kind=kind,
        fault=fault,
        entries=(entry,),
        began=span.first,
        ended=span.last,
        summary=summary,
        requests=requests,
        workspaces=workspaces,
        counts=dict(sorted(span.tallies.items())) | {"times": span.count},
        quiet_s=SLACK_S,
    )


def _limits(span: Span) -> str:
    return ", ".join(sorted(name.removeprefix("limit ") for name in Counter(span.tallies)))
