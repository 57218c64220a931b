"""Heartbeats on their way to the database: whatever came in while one batch was written is the next batch.

No beat is acknowledged before it is written, and none is lost in silence: each gets a receipt or an error.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import structlog

from api.store.heartbeats import Beat, HeartbeatStore, Receipt, Transition
from shared import metrics
from shared.database import Database
from shared.errors import DatabaseUnavailable

log = structlog.get_logger()

MOST_AT_ONCE = 500
MOST_WAITING = 10_000
DEADLINE_S = 4.0
"""For a batch, the connection that it needs included."""

HELD_FOR_S = 5.0
"""How long somebody else may hold a row before its beats are given up."""

_LOOK_AGAIN_S = 0.02


@dataclass(frozen=True, slots=True)
class _Waiting:
    beat: Beat
    receipt: asyncio.Future[Receipt]
    since: float


class HeartbeatWriter:
    """Writes beats, in batches, from entering to leaving."""

    def __init__(self, database: Database, *, unswept_runtimes: Iterable[str]) -> None:
        self._store = HeartbeatStore(database, unswept_runtimes=unswept_runtimes)
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._writing = asyncio.create_task(self._write_for_ever())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writing.cancel()
        await asyncio.gather(self._writing, return_exceptions=True)
        self._give_up(self._take(len(self._waiting)), DatabaseUnavailable("the api ends"))

    async def write(self, beat: Beat) -> Receipt:
        """The receipt of `beat`, once it is written or refused. Raises DatabaseUnavailable, InvalidBody."""
        if len(self._waiting) >= MOST_WAITING:
            raise DatabaseUnavailable("too many heartbeats wait")
        waiting = _Waiting(beat, asyncio.get_running_loop().create_future(), time.monotonic())
        self._waiting.append(waiting)
        self._arrived.set()
        return await waiting.receipt

    async def _write_for_ever(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while batch := self._take(MOST_AT_ONCE):
                try:
                    answered = await self._write_batch(batch)
                except Exception as exc:  # noqa: BLE001 - handed to every request that waits, which says so
                    answered = True
                    self._give_up(batch, exc)
                if not answered:
                    await asyncio.sleep(_LOOK_AGAIN_S)

    def _take(self, most: int) -> list[_Waiting]:
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    async def _write_batch(self, batch: list[_Waiting]) -> bool:
        """Write and answer; whether anybody was answered, and not only rows were met that others hold."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                receipts = await self._store.write([waiting.beat for waiting in batch])
        except (DatabaseUnavailable, TimeoutError):
            # Who came in meanwhile would only wait for the same answer.
            everyone = [*batch, *self._take(len(self._waiting))]
            self._give_up(everyone, DatabaseUnavailable("heartbeats cannot be written"))
            return True
        except asyncio.CancelledError:
            self._give_up(batch, DatabaseUnavailable("the api ends"))
            raise
        held: list[_Waiting] = []
        for waiting, receipt in zip(batch, receipts, strict=True):
            if isinstance(receipt, Exception):
                self._give_up([waiting], receipt)
            elif receipt.judgement.verdict == "admitted" and not receipt.written:
                held.append(waiting)
            else:
                if receipt.transition is not None:
                    say_marked(receipt.transition, request_id=waiting.beat.request_id)
                if not waiting.receipt.done():
                    waiting.receipt.set_result(receipt)
        return self._keep(held) < len(batch)

    def _keep(self, held: list[_Waiting]) -> int:
        """Put beats whose rows others hold back in front, in their order; how many that are."""
        before = time.monotonic() - HELD_FOR_S
        late = [waiting for waiting in held if waiting.since < before]
        self._give_up(late, DatabaseUnavailable("the workspace's row is held by another session"))
        kept = [waiting for waiting in held if waiting.since >= before]
        self._waiting.extendleft(reversed(kept))
        return len(kept)

    @staticmethod
    def _give_up(batch: Iterable[_Waiting], exc: Exception) -> None:
        for waiting in batch:
            if not waiting.receipt.done():
                waiting.receipt.set_exception(exc)


def say_marked(transition: Transition, *, request_id: str | None) -> None:
    """The line and the count of a transition that was written."""
    metrics.TRANSITIONS.labels(transition.status, transition.reason).inc()
    keys = {
        "workspace_id": str(transition.workspace_id),
        "previous": transition.previous,
        "reason": transition.reason,
        "detected_by": "heartbeat",
        "request_id": request_id,
    }
    if transition.status == "online":
        log.info("workspace.marked_online", **keys)
    else:
        log.info("workspace.marked_degraded", **keys)
