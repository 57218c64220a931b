"""One sweep: read the rows, list the containers, ask about those whose status would change, write.

    sweep()     one SELECT, one list; whoever's status would change gets a grace
    settle()    whoever's grace has ended is asked about, through the one shared function, and written

Nothing is written on the list's word, and nothing on an answer that Docker did not give: an unknown
leaves the row, and its grace, as they are.
"""

import math
import secrets
import time
from collections import Counter
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from datetime import datetime
from uuid import UUID

import structlog
from structlog.contextvars import bind_contextvars, unbind_contextvars

from shared import metrics, systemd
from shared.errors import EngineError
from shared.running import NotRunning, Running, Snapshot
from shared.settings import Settings
from shared.transitions import CONTAINER_REASONS
from sweeper.look import Answer, CountingEngine, Lookout
from sweeper.mark import Marker, Target, Verdict
from sweeper.store import SweepStore, Workspace

log = structlog.get_logger()

HEALED_BY_CONTAINER = CONTAINER_REASONS | {"created", "resumed"}
"""Why a workspace may be offline and come online by its container; any other offline heals by a heartbeat."""

BRAKE_AT = 5
"""So many candidates for offline, and none of the fleet's containers: this is probably the wrong engine."""


@dataclass(slots=True)
class Grace:
    """A status that would change, and when (monotonic seconds) it is time to look again.

    A candidate for online carries its first look: the second must find the same container, started once, or
    the next sweep begins anew with it.
    """

    target: Target
    due: float
    first_look: Running | None = None


@dataclass(slots=True)
class Report:
    """What one sweep did, its graces included: the keys of `sweep.completed`.

    `duration_ms` is work, without the time that graces waited.
    """

    duration_ms: float = 0
    checked: int = 0
    running: int = 0
    not_running: int = 0
    unknown: int = 0
    marked_online: int = 0
    marked_offline: int = 0
    held: int = 0
    inspects: int = 0
    list_ms: float = 0

    def in_words(self) -> str:
        """One line for whoever asks the service manager."""
        external = self.checked - self.running - self.not_running - self.unknown
        parts = [f"{self.running} running", f"{self.not_running} not running", f"{self.unknown} unknown"]
        parts += [f"{external} external"] if external else []
        parts += [f"{self.held} held"] if self.held else []
        return f"swept {self.checked} workspaces in {self.duration_ms:.0f} ms: {', '.join(parts)}"


@dataclass(slots=True)
class _Sweep:
    """The sweep that runs: what it has seen so far, and what it will report, once, and only while `whole`."""

    id: str
    inspects_before: int
    report: Report = field(default_factory=Report)
    answers: dict[UUID, Answer] = field(default_factory=dict)
    whole: bool = False


def may_become(workspace: Workspace, target: Target) -> bool:
    """Whether a container's state may change this row to `target`: who put it offline heals it."""
    if target == "offline":
        return workspace.status in ("online", "degraded")
    return workspace.status == "offline" and workspace.offline_reason in HEALED_BY_CONTAINER


class Sweeper:
    """Sweeps a fleet again and again; what it keeps from one sweep to the next is in memory only.

    `sweep` and `settle` raise DatabaseUnavailable, never EngineError: a silent engine is a normal answer.
    """

    def __init__(self, *, engine: CountingEngine, store: SweepStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        patience_s = settings.sweep_interval + settings.engine_timeout  # whoever was asked may answer
        self._lookout = Lookout(engine, give_up_after_s=patience_s)
        self._marker = Marker(store, write=settings.sweep_write)
        self._graces: dict[UUID, Grace] = {}
        self._settled_at = -math.inf
        self._holding = False
        self._outage_ended: datetime | None = None
        self._skipped: set[UUID] = set()
        self._current = _Sweep("", 0)

    def next_due(self) -> float | None:
        """When the next grace ends (monotonic seconds), or None.

        One that has ended and could not be decided waits for the next sweep, as does one that is held.
        """
        waiting = (grace for grace in self._graces.values() if not self._held(grace))
        return min((grace.due for grace in waiting if grace.due > self._settled_at), default=None)

    async def sweep(self, *, after_outage: bool = False, force: bool = False) -> None:
        """Look at the whole fleet, and settle what is due at once.

        `after_outage`: until now no heartbeat could be written. `force` lifts the brake for this sweep.
        """
        current = self._current = _Sweep(secrets.token_hex(6), self._lookout.inspects)
        bind_contextvars(sweep_id=current.id)

        started = time.perf_counter()
        fleet = await self._store.fleet(outage_ended=self._outage_ended)
        current.report.checked = len(fleet.workspaces)
        external = self._settings.external_runtimes
        if after_outage:
            self._outage_ended = fleet.asked_at  # everyone's silence begins now, so nobody is silent yet
        else:
            await self._mark_silent([w for w in fleet.workspaces if w.runtime in external])
        if local := [w for w in fleet.workspaces if w.runtime not in external]:
            await self._find_candidates(local, force=force)
        else:
            self._forget_containers()
        current.report.duration_ms += _ms_since(started)
        self._settled_at = -math.inf  # also whoever could not be decided before
        await self.settle()

    async def settle(self) -> None:
        """Ask about everyone whose grace has ended since the last time, and write what is definite."""
        current = self._current
        current.whole = False
        started = time.perf_counter()
        await self._settle_due()
        current.report.duration_ms += _ms_since(started)
        current.whole = True

    def complete(self) -> Report:
        """End the sweep, with the graces that were waited for: what it did, which is also logged, once.

        A sweep that the database broke off is not logged as completed.
        """
        current, report = self._current, self._current.report
        if not current.whole:
            return report
        current.whole = False
        outcomes = Counter(_outcome(answer) for answer in current.answers.values())
        totals: Counter[str] = Counter()
        metrics.WORKSPACES.clear()
        for (outcome, reason), number in outcomes.items():
            metrics.WORKSPACES.labels(outcome, reason).set(number)
            totals[outcome] += number
        report.running, report.not_running = totals["running"], totals["not_running"]
        report.unknown = totals["unknown"]
        report.inspects = self._lookout.inspects - current.inspects_before
        report.duration_ms = round(report.duration_ms, 1)
        metrics.SWEEP_DURATION.observe(report.duration_ms / 1000)
        metrics.SWEEP_COMPLETED_AT.set_to_current_time()
        log.info("sweep.completed", **asdict(report))
        systemd.status(report.in_words())
        unbind_contextvars("sweep_id")
        return report

    async def _mark_silent(self, remote: list[Workspace]) -> None:
        """Mark offline the external ones that could have been heard for the stale window, and were not."""
        silent = []
        for workspace in remote:
            if not math.isfinite(workspace.silent_s):
                if workspace.id not in self._skipped:
                    self._skipped.add(workspace.id)
                    problem = "its last heartbeat has no finite time"
                    log.warning("workspace.skipped", workspace_id=str(workspace.id), problem=problem)
            elif workspace.silent_s <= self._settings.remote_liveness_stale_after:
                self._marker.forget(workspace.id)
            elif may_become(workspace, "offline") and not workspace.deaf:
                silent.append(Verdict(workspace=workspace, reason="heartbeat_stale"))
        current = self._current
        current.report.marked_offline += await self._marker.mark("offline", silent, sweep_id=current.id)

    async def _settle_due(self) -> None:
        now = time.monotonic()
        due = [
            workspace_id
            for workspace_id, grace in self._graces.items()
            if self._settled_at < grace.due <= now and not self._held(grace)
        ]
        self._settled_at = now
        if not due:
            return
        due.sort(key=self._lookout.is_unknown)  # whoever did not answer last time comes last
        fleet = await self._store.fleet(ids=due)
        external = self._settings.external_runtimes
        wanted = {
            w.id: w
            for w in fleet.workspaces
            if w.runtime not in external and may_become(w, self._graces[w.id].target)
        }
        for workspace_id in due:
            if workspace_id not in wanted:  # somebody else changed it while the grace ran
                del self._graces[workspace_id]
        async with aclosing(self._lookout.ask([wanted[i] for i in due if i in wanted])) as batches:
            async for answers in batches:
                await self._decide(answers)
                await self._settle_due()  # whose grace ended meanwhile; it ends, for _settled_at moves on

    async def _find_candidates(self, local: list[Workspace], *, force: bool) -> None:
        """List the containers once, and give a grace to everyone whose status would change."""
        answers = self._current.answers
        started = time.perf_counter()
        snapshot = await self._lookout.survey()
        systemd.alive()
        self._current.report.list_ms = round(_ms_since(started), 1)
        if isinstance(snapshot, EngineError):
            answers.update(dict.fromkeys((w.id for w in local), snapshot))
            return
        # A candidate for online is looked at at once; its grace comes between that look and the second.
        now = time.monotonic()
        due = {"offline": now + self._settings.offline_grace, "online": now}
        before, self._graces = self._graces, {}
        self._lookout.forget_others(workspace.id for workspace in local)
        for workspace in local:
            sighting = answers[workspace.id] = _sighting(snapshot, workspace)
            grace = before.get(workspace.id)
            if isinstance(sighting, EngineError):
                self._lookout.record(workspace.id, sighting)
                if grace is not None:
                    self._graces[workspace.id] = grace
                continue
            target: Target = "online" if isinstance(sighting, Running) else "offline"
            if not may_become(workspace, target):
                self._lookout.record(workspace.id, sighting)
                self._marker.forget(workspace.id)
            elif grace is not None and grace.target == target:
                self._graces[workspace.id] = grace
            else:
                self._graces[workspace.id] = Grace(target, due[target])
        self._brake(force=force)

    def _forget_containers(self) -> None:
        """Nobody is left whose container could be asked about."""
        metrics.ENGINE_UP.set(math.nan)
        self._graces.clear()
        self._lookout.forget_others(())
        self._brake(force=False)

    def _held(self, grace: Grace) -> bool:
        return self._holding and grace.target == "offline"

    def _brake(self, *, force: bool) -> None:
        """Hold all marks back while the list has none of the fleet's containers and many would go offline.

        A fresh or mistaken DOCKER_HOST must not take a fleet down. It holds until one is seen.
        """
        candidates = sum(grace.target == "offline" for grace in self._graces.values())
        answers = self._current.answers.values()
        none_seen = all(isinstance(a, NotRunning) and a.reason == "missing" for a in answers)
        many = candidates >= BRAKE_AT or (self._holding and candidates > 0)
        holding = none_seen and many and not force
        if holding and not self._holding:
            reason = "no_container_of_the_fleet"
            log.warning("sweep.held", would_mark_offline=candidates, of=len(answers), reason=reason)
        if self._holding and not holding:
            log.info("sweep.released", would_mark_offline=candidates, of=len(answers))
        self._holding = holding
        self._current.report.held = candidates if holding else 0
        metrics.HELD.set(holding)

    async def _decide(self, answers: list[tuple[Workspace, Answer]]) -> None:
        offline: list[Verdict] = []
        online: list[Verdict] = []
        current = self._current
        for workspace, answer in answers:
            current.answers[workspace.id] = answer
            if isinstance(answer, EngineError):
                continue  # nothing is known, and the grace stays
            grace = self._graces.pop(workspace.id)
            if isinstance(answer, NotRunning) and grace.target == "offline":
                offline.append(Verdict.of(workspace, answer))
            elif isinstance(answer, Running) and grace.target == "online":
                if grace.first_look is None:
                    second_look = time.monotonic() + self._settings.online_grace
                    self._graces[workspace.id] = Grace("online", second_look, first_look=answer)
                elif answer == grace.first_look:
                    online.append(Verdict.of(workspace, answer))
        current.report.marked_offline += await self._marker.mark("offline", offline, sweep_id=current.id)
        current.report.marked_online += await self._marker.mark("online", online, sweep_id=current.id)


def _sighting(snapshot: Snapshot, workspace: Workspace) -> Answer:
    try:
        return snapshot.state(workspace.id, short_name_is_unique=workspace.short_name_is_unique)
    except EngineError as unknown:
        return unknown


def _outcome(answer: Answer) -> tuple[str, str]:
    match answer:
        case Running():
            return "running", "running"
        case NotRunning():
            return "not_running", answer.reason
        case EngineError():
            return "unknown", answer.reason


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
