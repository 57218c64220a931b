"""When to sweep, and how to start and stop."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from prometheus_client import start_http_server

from shared import __version__, logs, metrics, systemd
from shared.database import Database, check_schema
from shared.engine import Engine
from shared.errors import DatabaseUnavailable, SchemaError, SchemaOlder, SettingsError
from shared.outage import Outage
from shared.settings import Settings
from sweeper.store import SweepStore
from sweeper.sweep import Sweeper

log = structlog.get_logger()

EX_CONFIG = 78
"""sysexits.h: something is configured wrongly, and starting again will not help."""

_DATABASE_RETRY_S = 2.0
_PRUNE_FIRST_S, _PRUNE_EVERY_S, _PRUNE_STEP = 60.0, 3600.0, 1000


class Daemon:
    """Sweeps every `sweep_interval` until it is cancelled, whatever happens to Docker or PostgreSQL."""

    def __init__(self, *, engine: Engine, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._store = SweepStore(database, unswept_runtimes=settings.unswept_runtimes)
        self._sweeper = Sweeper(engine=engine, store=self._store, settings=settings)
        self._outage = Outage()
        self._prune_at = time.monotonic() + _PRUNE_FIRST_S

    async def wait_for_database(self) -> None:
        """Return when PostgreSQL answers and has this code's schema. Raises SchemaNewer, MigrationRefused."""
        outdated = Outage()
        while True:
            try:
                async with self._database.connection() as connection:
                    await check_schema(connection)
            except DatabaseUnavailable as exc:
                self._database_failed(exc)
            except SchemaOlder as exc:
                if outdated.failed():
                    log.warning("schema.outdated", problem=str(exc))
            else:
                return
            await asyncio.sleep(_DATABASE_RETRY_S)

    async def run(self) -> None:
        """Sweep, and settle graces as they end. One loop does both, so a sweep never overlaps anything."""
        next_sweep = time.monotonic()
        while True:
            if time.monotonic() >= next_sweep:
                await self._round(self._sweeper.sweep(after_outage=bool(self._outage)))
                next_sweep = self._following(next_sweep)
            else:
                await self._round(self._sweeper.settle())
            await self._prune()
            next_due = self._sweeper.next_due()
            if next_due is None or next_due >= next_sweep:
                self._sweeper.complete()
            wake = next_sweep if next_due is None else min(next_sweep, next_due)
            await asyncio.sleep(max(0.0, wake - time.monotonic()))

    def _following(self, last: float) -> float:
        """When the next sweep begins: at once if this one took longer than the interval."""
        interval, now = self._settings.sweep_interval, time.monotonic()
        if now > last + interval:
            log.warning(
                "sweep.overran", interval_ms=round(interval * 1000), late_ms=round((now - last) * 1000)
            )
        return max(last + interval, now)

    async def _round(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except DatabaseUnavailable as exc:
            self._database_failed(exc)
        except Exception:
            # A bug in one sweep must not end the daemon: the next one may meet other rows.
            metrics.SWEEPS_FAILED.inc()
            log.exception("sweep.failed")
        else:
            metrics.DATABASE_UP.set(1)
            failures = self._outage.failures
            if (down_s := self._outage.ended()) is not None:
                log.info("database.recovered", down_s=round(down_s, 1), failures=failures)

    def _database_failed(self, exc: DatabaseUnavailable) -> None:
        metrics.DATABASE_UP.set(0)
        if self._outage.failed():
            log.warning("database.unreachable", detail=str(exc), failures=1)

    async def _prune(self) -> None:
        if time.monotonic() < self._prune_at:
            return
        self._prune_at = time.monotonic() + _PRUNE_EVERY_S
        try:
            pruned = await self._store.prune_history(older_than_s=self._settings.history_retention)
        except DatabaseUnavailable as exc:
            self._database_failed(exc)
        else:
            if pruned == _PRUNE_STEP:
                self._prune_at = time.monotonic()  # more of it after the next round
            log.debug("history.pruned", rows=pruned)


async def serve(settings: Settings) -> int:
    """Run the sweeper until a signal ends it; the exit status.

    The first SIGTERM or SIGINT lets a write that has begun finish, the second kills.
    Raises SettingsError for what shows only at start: a missing DATABASE_URL, a port that is taken.
    """
    started = time.monotonic()
    log.info("process.started", version=__version__, settings=settings.shown())
    metrics.BUILD.info({"version": __version__})
    _serve_metrics(settings)
    if settings.database_url is None:
        raise SettingsError("DATABASE_URL", "is not set: name a database, or start with `bash deploy/run`")
    async with (
        Engine(settings.docker_host, timeout=settings.engine_timeout) as engine,
        Database(settings.database_url, application="healthsweep-sweeper") as database,
    ):
        daemon = Daemon(engine=engine, database=database, settings=settings)
        work = asyncio.create_task(_work(daemon))
        _on_first_signal(work.cancel)
        try:
            await work
        except asyncio.CancelledError:
            pass
        except SchemaError as exc:
            log.critical("schema.refused", problem=str(exc))
            return EX_CONFIG
    log.info("process.stopped", duration_s=round(time.monotonic() - started, 1))
    return 0


async def _work(daemon: Daemon) -> None:
    await daemon.wait_for_database()
    systemd.notify("READY=1")
    await daemon.run()


def _serve_metrics(settings: Settings) -> None:
    if settings.metrics_port:
        try:
            start_http_server(settings.metrics_port, addr=settings.bind_address)
        except OSError as exc:
            raise SettingsError("METRICS_PORT", f"cannot be listened on: {exc.strerror}") from exc


def _on_first_signal(stop: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()

    def stopping(received: signal.Signals) -> None:
        log.info("process.stopping", signal=received.name)
        systemd.notify("STOPPING=1")
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping, number)


def main() -> int:
    """`python -m sweeper`: the exit status."""
    logs.configure("sweeper", level="info", form="json", stream=sys.stdout)
    try:
        settings = Settings.load(os.environ)
        logs.configure("sweeper", level=settings.log_level, form=settings.log_format, stream=sys.stdout)
        return asyncio.run(serve(settings))
    except SettingsError as exc:
        log.critical("settings.invalid", variable=exc.variable, problem=exc.problem)
        return EX_CONFIG
