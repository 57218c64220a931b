"""Workspaces that show online while requests are refused because their container does not run.

Until the next sweep that is normal. What lasts is two answers to one question, which is why this product
exists: operators are alarmed by the metric. Only workspaces whose status the sweeper keeps by a container
can contradict.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from api.store.access import AccessStore
from shared import metrics
from shared.errors import DatabaseUnavailable, EngineError, SchemaError
from shared.running import NotRunning, Running, StateEngine, container_state

REVIEW_EVERY_S = 5.0
SETTLED_AFTER_S = 60.0
"""By then a sweep has seen it, too. What is still there is asked about again: the container may be back."""
MOST = 64
"""So many alarm as well as thousands, and can all be asked about at once."""


@dataclass(slots=True)
class _Contradiction:
    """From `since` to the last time that it was seen (monotonic seconds)."""

    since: float
    seen: float


class Contradictions:
    """Each lasts from a refusal until the row, or the container, says something else.

    While nobody can tell, none is over and none grows older. `exempt_runtimes` have no container here, or
    nobody sweeps them.
    """

    def __init__(self, *, engine: StateEngine, store: AccessStore, exempt_runtimes: Iterable[str]) -> None:
        self._engine = engine
        self._store = store
        self._exempt_runtimes = exempt_runtimes
        self._known: dict[UUID, _Contradiction] = {}
        metrics.CONTRADICTION.set_function(self.longest_s)

    def refused(self, workspace_id: UUID) -> None:
        """A request was, because the container does not run."""
        if len(self._known) < MOST:
            now = time.monotonic()
            self._known.setdefault(workspace_id, _Contradiction(since=now, seen=now))

    def longest_s(self) -> float:
        """For how many seconds the one that lasts longest was seen; 0 where there is none."""
        return max((each.seen - each.since for each in self._known.values()), default=0.0)

    async def keep(self) -> None:
        """Review what is there until cancelled."""
        while True:
            await asyncio.sleep(REVIEW_EVERY_S)
            try:
                await self.review()
            except (DatabaseUnavailable, SchemaError):
                continue  # nobody can tell, and each request says what it meets

    async def review(self) -> None:
        """Drop what is over, and note what is still there: the engine's deadline bounds the looks.

        Raises DatabaseUnavailable, SchemaError.
        """
        known = dict(self._known)  # a refusal that comes meanwhile is the next review's
        if not known:
            return
        online = await self._store.online(known, exempt_runtimes=self._exempt_runtimes)
        for workspace_id in known.keys() - online.keys():
            del self._known[workspace_id]
        await asyncio.gather(*(self._look(each, short_name_is_unique=online[each]) for each in online))

    async def _look(self, workspace_id: UUID, *, short_name_is_unique: bool) -> None:
        contradiction = self._known[workspace_id]
        if time.monotonic() - contradiction.since < SETTLED_AFTER_S:
            contradiction.seen = time.monotonic()
            return
        match await self._container(workspace_id, short_name_is_unique=short_name_is_unique):
            case Running():
                del self._known[workspace_id]
            case NotRunning():
                contradiction.seen = time.monotonic()

    async def _container(
        self, workspace_id: UUID, *, short_name_is_unique: bool
    ) -> Running | NotRunning | EngineError:
        try:
            return await container_state(
                self._engine, workspace_id, short_name_is_unique=short_name_is_unique
            )
        except EngineError as unknown:
            return unknown
