"""When to sweep, and what to wait for before."""

import time
from collections.abc import Coroutine
from typing import Any

import structlog
from prometheus_client import start_http_server

from shared import metrics, systemd
from shared.database import Database
from shared.engine import Engine
from shared.errors import DatabaseUnavailable, SchemaOlder
from shared.outage import DatabaseOutage, Outage
from shared.settings import Settings, cannot_listen
from sweeper.store import SweepStore
from sweeper.sweep import Sweeper

log = structlog.get_logger()

_DATABASE_RETRY_S = 2.0
_PRUNE_FIRST_S, _PRUNE_EVERY_S, _PRUNE_STEP = 60.0, 3600.0, 1000


class Daemon:
    """Sweeps every `sweep_interval` until it is cancelled, whatever happens to Docker or PostgreSQL."""

    def __init__(self, *, engine: Engine, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._store = SweepStore(database, unswept_runtimes=settings.unswept_runtimes)
        self._sweeper = Sweeper(engine=engine, store=self._store, settings=settings)
        self._outage = DatabaseOutage()
        metrics.SWEEP_INTERVAL.set(settings.sweep_interval)
        self._missed_writes = False  # since the last whole sweep, so that nobody may be called silent
        self._prune_at = time.monotonic() + _PRUNE_FIRST_S

    async def wait_for_database(self) -> None:
        """Return when PostgreSQL answers and has this code's schema. Raises SchemaNewer, MigrationRefused."""
        outdated = Outage()
        while True:
            try:
                async with self._database.connection():
                    return
            except DatabaseUnavailable as exc:
                self._database_failed(exc)
            except SchemaOlder as exc:
                if outdated.failed():
                    log.warning("schema.outdated", problem=str(exc))
                systemd.status("waiting for `healthsweep migrate`")
            await systemd.idle(_DATABASE_RETRY_S)

    async def run(self) -> None:
        """Sweep, and settle graces as they end. One loop does both, so a sweep never overlaps anything."""
        next_sweep = time.monotonic()
        while True:
            if time.monotonic() >= next_sweep:
                if await self._round(self._sweeper.sweep(after_outage=self._missed_writes)):
                    self._missed_writes = False
                next_sweep = self._following(next_sweep)
            else:
                await self._round(self._sweeper.settle())
            if time.monotonic() >= self._prune_at:
                await self._round(self._prune())
            next_due = self._sweeper.next_due()
            if next_due is None or next_due >= next_sweep:
                self._sweeper.complete()
            wake = next_sweep if next_due is None else min(next_sweep, next_due)
            await systemd.idle(wake - time.monotonic())

    def _following(self, last: float) -> float:
        """When the next sweep begins: at once if this one took longer than the interval."""
        interval, now = self._settings.sweep_interval, time.monotonic()
        if now > last + interval:
            log.warning(
                "sweep.overran", interval_ms=round(interval * 1000), late_ms=round((now - last) * 1000)
            )
        return max(last + interval, now)

    async def _round(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do it, whatever comes of it; whether it succeeded."""
        try:
            await work
        except DatabaseUnavailable as exc:
            self._database_failed(exc)
        except Exception:
            # A bug in one sweep must not end the daemon: the next one may meet other rows.
            metrics.SWEEPS_FAILED.inc()
            log.exception("sweep.failed")
            systemd.status("the last sweep failed: see the log")
        else:
            self._outage.ended()
            return True
        return False

    def _database_failed(self, exc: DatabaseUnavailable) -> None:
        self._outage.failed(exc)
        self._missed_writes = True
        systemd.status("waiting for the database")

    async def _prune(self) -> None:
        self._prune_at = time.monotonic() + _PRUNE_EVERY_S
        older_than_s = self._settings.history_retention
        pruned = await self._store.prune_history(older_than_s=older_than_s, most=_PRUNE_STEP)
        if pruned == _PRUNE_STEP:
            self._prune_at = time.monotonic()  # more of it after the next round
        log.debug("history.pruned", rows=pruned)


async def serve(settings: Settings) -> None:
    """Run the sweeper until it is cancelled.

    Raises SettingsError for what shows only at start, a missing DATABASE_URL or a port that is taken,
    and SchemaError for a database that this version cannot use.
    """
    if settings.metrics_port:
        try:
            start_http_server(settings.metrics_port, addr=settings.bind_address, registry=metrics.SWEEPER)
        except OSError as exc:
            raise cannot_listen(exc, "METRICS_PORT") from exc
    async with (
        Engine(settings.docker_host, timeout=settings.engine_timeout) as engine,
        Database(settings.required_database_url(), application="healthsweep-sweeper") as database,
    ):
        daemon = Daemon(engine=engine, database=database, settings=settings)
        await daemon.wait_for_database()
        systemd.notify("READY=1")
        await daemon.run()
