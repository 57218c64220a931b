"""What Docker says of the fleet: one list of all, and answers about some. Failures are said on the edge."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable
from typing import Protocol
from uuid import UUID

import structlog

from shared import metrics, systemd
from shared.errors import EngineError
from shared.outage import Outage
from shared.running import NotRunning, Running, Snapshot, StateEngine, container_snapshot, container_state
from sweeper.store import Workspace

log = structlog.get_logger()

Answer = Running | NotRunning | EngineError
"""The three outcomes as one value: in a sweep *unknown* is a normal answer, which changes nothing."""

LOOKS_AT_ONCE = 16
PATIENCE_S = 0.5
"""Answers are handed on when all are there, or after this long: one that hangs holds up no others."""


class CountingEngine(StateEngine, Protocol):
    """What a sweep needs of the engine; `inspects` counts the questions about one container."""

    @property
    def inspects(self) -> int: ...


class Lookout:
    """Looks at containers through the one shared function, and remembers who could not be told about.

    `give_up_after_s` bounds how long one round of questions may take.
    """

    def __init__(self, engine: CountingEngine, *, give_up_after_s: float) -> None:
        self._engine = engine
        self._give_up_after_s = give_up_after_s
        self._outage = Outage()
        self._unknown_streaks: set[UUID] = set()

    @property
    def inspects(self) -> int:
        """How many inspects were made so far."""
        return self._engine.inspects

    async def survey(self) -> Snapshot | EngineError:
        """All containers at once."""
        try:
            snapshot = await container_snapshot(self._engine)
        except EngineError as unknown:
            metrics.ENGINE_UP.set(0)
            if self._outage.failed():
                log.warning("engine.unreachable", reason=unknown.reason, detail=unknown.detail, failures=1)
            return unknown
        metrics.ENGINE_UP.set(1)
        if (ended := self._outage.ended()) is not None:
            log.info("engine.recovered", down_s=round(ended.down_s, 1), failures=ended.failures)
        return snapshot

    async def ask(self, workspaces: list[Workspace]) -> AsyncGenerator[list[tuple[Workspace, Answer]], None]:
        """Ask about each; the answers in the portions in which they come.

        Once the engine is gone, or this takes too long, the rest is not asked about: `sweep.aborted`.
        """
        limit = asyncio.Semaphore(LOOKS_AT_ONCE)

        async def look(workspace: Workspace) -> tuple[Workspace, Answer]:
            async with limit:
                try:
                    return workspace, await container_state(
                        self._engine, workspace.id, short_name_is_unique=workspace.short_name_is_unique
                    )
                except EngineError as unknown:
                    return workspace, unknown

        give_up_at = time.monotonic() + self._give_up_after_s
        looks = {asyncio.create_task(look(workspace)) for workspace in workspaces}
        try:
            while looks:
                done, looks = await asyncio.wait(looks, timeout=PATIENCE_S)
                systemd.alive()
                answers = [task.result() for task in done]
                for workspace, answer in answers:
                    self.record(workspace.id, answer)
                yield answers
                gone = any(isinstance(a, EngineError) and a.reason == "unreachable" for _, a in answers)
                if looks and (gone or time.monotonic() > give_up_at):
                    reason = "unreachable" if gone else "timeout"
                    log.warning("sweep.aborted", reason=reason, remaining=len(looks))
                    return
        finally:
            for task in looks:
                task.cancel()

    def is_unknown(self, workspace_id: UUID) -> bool:
        """Whether Docker could not tell about this one when it was last asked."""
        return workspace_id in self._unknown_streaks

    def forget_others(self, workspace_ids: Iterable[UUID]) -> None:
        """These are all that there are: the streak of any other has ended with its row."""
        self._unknown_streaks.intersection_update(workspace_ids)
        metrics.UNKNOWN_STREAKS.set(len(self._unknown_streaks))

    def record(self, workspace_id: UUID, answer: Answer) -> None:
        """Say that Docker could not tell about this one, once in a streak; a definite answer ends it."""
        if not isinstance(answer, EngineError):
            self._unknown_streaks.discard(workspace_id)
        elif workspace_id not in self._unknown_streaks:
            self._unknown_streaks.add(workspace_id)
            log.warning(
                "workspace.state_unknown",
                workspace_id=str(workspace_id),
                reason=answer.reason,
                status=answer.status,
            )
        metrics.UNKNOWN_STREAKS.set(len(self._unknown_streaks))
