"""How a service starts and stops: settings, log, signals, exit status; the same for both."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from shared import __version__, logs, metrics, systemd
from shared.errors import SchemaError, SettingsError
from shared.settings import Settings

log = structlog.get_logger()

EX_CONFIG = 78
"""sysexits.h: something is configured wrongly, and starting again will not help."""


def run(name: logs.Process, serve: Callable[[Settings], Coroutine[Any, Any, None]]) -> int:
    """Run `serve` until a signal; the exit status, 78 for settings or a schema that cannot be used.

    The first SIGTERM or SIGINT cancels `serve`, which finishes what it has begun; the second kills.
    """
    logs.configure(name, level="info", form="json", stream=sys.stdout)
    try:
        settings = Settings.load(os.environ)
        logs.configure(name, level=settings.log_level, form=settings.log_format, stream=sys.stdout)
        asyncio.run(_until_told(serve, settings))
    except SettingsError as exc:
        log.critical("settings.invalid", variable=exc.variable, problem=exc.problem)
        systemd.status(f"refused: {exc}")
        return EX_CONFIG
    except SchemaError as exc:
        log.critical("schema.refused", problem=str(exc))
        systemd.status(f"refused: {exc}")
        return EX_CONFIG
    finally:
        logs.let_go(sys.stdout)
    return 0


async def _until_told(serve: Callable[[Settings], Coroutine[Any, Any, None]], settings: Settings) -> None:
    started = time.monotonic()
    log.info("process.started", version=__version__, settings=settings.shown())
    metrics.BUILD.info({"version": __version__})
    work = asyncio.create_task(serve(settings))
    _on_first_signal(work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        log.info("process.stopped", duration_s=round(time.monotonic() - started, 1))


def _on_first_signal(stop: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()

    def stopping(received: signal.Signals) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        stop()  # and from now on the second one kills
        log.info("process.stopping", signal=received.name)
        systemd.notify("STOPPING=1\nSTATUS=finishing what it has begun")

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping, number)
