"""What is written, and the lines that say so: nothing that was not written is said to be."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

import structlog

from shared import metrics
from shared.running import NotRunning, Running
from shared.transitions import Transition
from sweeper.store import SweepStore, Workspace

log = structlog.get_logger()

Target = Literal["online", "offline"]
T = TypeVar("T")

_TOLD_BY_START = frozenset({"missing", "exited", "dead", "restarting", "removing"})
"""Offline reasons that a start of the container ends, so that its StartedAt is when it happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A status that is to be written, and why. `since` is Docker's time of the event, where it has one."""

    workspace: Workspace
    reason: str
    exit_code: int | None = None
    container_name: str | None = None
    since: str | None = None

    @classmethod
    def of(cls, workspace: Workspace, answer: Running | NotRunning) -> "Verdict":
        """The verdict that this answer justifies."""
        if isinstance(answer, Running):
            return cls(
                workspace=workspace,
                reason="running",
                container_name=answer.container_name,
                since=answer.started_at if workspace.offline_reason in _TOLD_BY_START else None,
            )
        return cls(
            workspace=workspace,
            reason=answer.reason,
            exit_code=answer.exit_code,
            container_name=answer.container_name,
            since=answer.finished_at if answer.reason in ("exited", "dead") else None,
        )


class Marker:
    """Writes verdicts; with `write` off it only says what it would have written, once for each."""

    def __init__(self, store: SweepStore, *, write: bool) -> None:
        self._store = store
        self._write = write
        self._announced: dict[UUID, Target] = {}
        self._refused: set[UUID] = set()

    def forget(self, workspace_id: UUID) -> None:
        """This one's status agrees with what is seen: should it differ again, that is news."""
        self._announced.pop(workspace_id, None)
        self._refused.discard(workspace_id)

    async def mark(self, target: Target, verdicts: list[Verdict], *, sweep_id: str) -> int:
        """Write `target` for each that is still as it was read; how many were written.

        Once begun it ends, with its lines, before a cancellation takes effect. Raises DatabaseUnavailable.
        """
        if not verdicts:
            return 0
        if not self._write:
            self._announce(target, verdicts)
            return 0
        return await _uninterrupted(self._mark(target, verdicts, sweep_id))

    def _announce(self, target: Target, verdicts: list[Verdict]) -> None:
        for verdict in verdicts:
            if self._announced.get(verdict.workspace.id) != target:
                self._announced[verdict.workspace.id] = target
                log.info("workspace.would_mark", to=target, **_keys(verdict))

    async def _mark(self, target: Target, verdicts: list[Verdict], sweep_id: str) -> int:
        transitions = [
            Transition(v.workspace.id, v.workspace.status, v.workspace.version, v.reason, v.exit_code)
            for v in verdicts
        ]
        marked = await self._store.mark(target, transitions, sweep_id=sweep_id)
        for verdict in verdicts:
            if verdict.workspace.id in marked.refused:
                if verdict.workspace.id not in self._refused:
                    self._refused.add(verdict.workspace.id)
                    problem = f"the database refuses to write {target} into its row"
                    log.warning("workspace.skipped", problem=problem, **_who(verdict))
                continue
            if verdict.workspace.id not in marked.changed:
                metrics.MARKS_SKIPPED.inc()
                log.info("workspace.mark_skipped", expected=verdict.workspace.status, **_who(verdict))
                continue
            metrics.TRANSITIONS.labels(target, verdict.reason).inc()
            if target == "online":
                log.info("workspace.marked_online", **_keys(verdict))
            else:
                log.info("workspace.marked_offline", **_keys(verdict))
        return len(marked.changed)


def _who(verdict: Verdict) -> dict[str, Any]:
    who = {"workspace_id": str(verdict.workspace.id)}
    return who | ({"container_name": verdict.container_name} if verdict.container_name else {})


def _keys(verdict: Verdict) -> dict[str, Any]:
    keys = {
        "previous": verdict.workspace.status,
        "reason": verdict.reason,
        "exit_code": verdict.exit_code,
        "detected_by": "sweep",
        "latency_ms": _ms_since(verdict.since),
    }
    return _who(verdict) | {key: value for key, value in keys.items() if value is not None}


def _ms_since(moment: str | None) -> int | None:
    """Milliseconds since Docker's timestamp; None where it says nothing that could be true."""
    try:
        latency = (datetime.now(UTC) - datetime.fromisoformat(moment or "")).total_seconds()
    except (ValueError, TypeError):
        return None
    return round(latency * 1000) if 0 <= latency < 86400 else None  # noqa: PLR2004 - 0001-01-01 is "never"


async def _uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        task.exception()  # a write that fails now must not swallow the cancellation
        raise
