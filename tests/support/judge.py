"""Was an offline false? Judged by what Docker had really said, and by no code of the product's.

An offline is *false* when Docker gave no definite answer for that workspace after its last online and
before the offline. Definite is an inspect, answered whole, with

    200 and a `State.Status` that is known and is not `running`, or
    404 that says `no such container`

and where the old, short name was asked after a 404 for the full one, what that second answer says.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from tests.support.exchange import Exchange

_NOT_RUNNING = frozenset(
    ("created", "exited", "paused", "restarting", "removing", "dead", "stopped", "stopping", "initialized")
)
_BEGINNING = datetime.min.replace(tzinfo=UTC)

Verdict = Literal["running", "not running", "missing", "unknown"]


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the history. `at` must be of the clock that stamped the wire; see `HistoryWatch`."""

    workspace_id: UUID
    previous: str | None
    status: str
    at: datetime


def false_offlines(
    wire: Sequence[Exchange], transitions: Iterable[Transition], *, external: Iterable[UUID] = ()
) -> list[Transition]:
    """The transitions to offline that nothing on `wire` justifies, those of `external` workspaces aside."""
    passed_over = frozenset(external)
    last_online: dict[UUID, datetime] = {}
    false: list[Transition] = []
    for transition in sorted(transitions, key=lambda transition: transition.at):
        workspace_id = transition.workspace_id
        if transition.status == "online":
            last_online[workspace_id] = transition.at
        elif _went_offline(transition) and workspace_id not in passed_over:
            since = last_online.get(workspace_id, _BEGINNING)
            if not _definitely_not_running(wire, workspace_id, since, transition.at):
                false.append(transition)
    return false


def _went_offline(transition: Transition) -> bool:
    """Whether somebody was seen to go; a new or a resumed workspace starts out as offline."""
    return transition.status == "offline" and transition.previous in ("online", "degraded")


def _definitely_not_running(
    wire: Sequence[Exchange], workspace_id: UUID, since: datetime, until: datetime
) -> bool:
    full, short = f"ws-{workspace_id}", f"ws-{str(workspace_id)[:12]}"
    missing = False  # the full name is, and nothing is known of the short one yet
    for exchange in wire:
        if exchange.inspected not in (full, short):
            continue
        in_time = exchange.answered_at is not None and since < exchange.answered_at <= until
        said = verdict(exchange) if in_time else "unknown"
        if exchange.inspected == full:
            if missing or said == "not running":
                return True
            missing = said == "missing"
        elif missing:
            if said in ("not running", "missing"):
                return True
            missing = False
    return missing


def verdict(exchange: Exchange) -> Verdict:
    """What this answer to an inspect says of the container."""
    body = exchange.body if isinstance(exchange.body, dict) else {}
    if exchange.status == 404:
        texts = (str(body.get(key)).lower() for key in ("message", "cause"))
        return "missing" if any("no such container" in text for text in texts) else "unknown"
    state = body.get("State")
    word = state.get("Status") if isinstance(state, dict) else None
    if exchange.status != 200 or not isinstance(word, str):
        return "unknown"
    return "running" if word == "running" else "not running" if word in _NOT_RUNNING else "unknown"
