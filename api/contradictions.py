"""Workspaces that show online while requests are refused because their container does not run.

Until the next sweep that is normal. What lasts is two answers to one question, which is why this product
exists: operators are alarmed by the metric. Only workspaces whose status the sweeper keeps can contradict.
"""

import asyncio
import time
from collections.abc import Iterable
from uuid import UUID

from api.store.access import AccessStore
from shared import metrics
from shared.errors import DatabaseUnavailable, EngineError, SchemaError
from shared.running import NotRunning, Running, StateEngine, container_state

REVIEW_EVERY_S = 5.0
SETTLED_AFTER_S = 60.0
"""By then a sweep has seen it, too. What is still there is asked about again: the container may be back."""


class Contradictions:
    """Each lasts from a refusal until the row, or the container, says something else."""

    def __init__(self, *, engine: StateEngine, store: AccessStore, unswept_runtimes: Iterable[str]) -> None:
        self._engine = engine
        self._store = store
        self._unswept_runtimes = unswept_runtimes
        self._since: dict[UUID, float] = {}
        metrics.CONTRADICTION.set_function(self.longest_s)

    def refused(self, workspace_id: UUID) -> None:
        """A request was, because the container does not run."""
        self._since.setdefault(workspace_id, time.monotonic())

    def longest_s(self) -> float:
        """For how many seconds the oldest has lasted; 0 where there is none."""
        return time.monotonic() - min(self._since.values()) if self._since else 0.0

    async def keep(self) -> None:
        """Review what is there until cancelled."""
        while True:
            await asyncio.sleep(REVIEW_EVERY_S)
            try:
                await self.review()
            except (DatabaseUnavailable, SchemaError):
                continue  # the presence says so, and nobody can tell whether anything is over

    async def review(self) -> None:
        """Drop what is over. Raises DatabaseUnavailable, SchemaError."""
        if not self._since:
            return
        online = await self._store.online(self._since, unswept_runtimes=self._unswept_runtimes)
        settled = time.monotonic() - SETTLED_AFTER_S
        for workspace_id, since in list(self._since.items()):
            runs = since < settled and isinstance(await self._container(workspace_id), Running)
            if runs or workspace_id not in online:
                del self._since[workspace_id]

    async def _container(self, workspace_id: UUID) -> Running | NotRunning | EngineError:
        unique = await self._store.short_name_is_unique(workspace_id)
        try:
            return await container_state(self._engine, workspace_id, short_name_is_unique=unique)
        except EngineError as unknown:
            return unknown
