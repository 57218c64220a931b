"""Whether the sweeper sweeps, as its own metrics tell: nothing else on a host knows it."""

import time
from dataclasses import dataclass, replace
from typing import Literal

import aiohttp
from prometheus_client import Gauge
from prometheus_client.parser import text_string_to_metric_families

from shared import metrics
from shared.settings import Settings
from shared.workspaces import local_url

_PATIENCE_S = 2.0
_LATE_AFTER_INTERVALS = 3

State = Literal["sweeping", "starting", "late", "silent", "away", "unknown"]


@dataclass(frozen=True, slots=True)
class Pulse:
    """What the sweeper's metrics say, in one sentence too.

    `late`: no sweep has ended for three intervals. `starting`: none ended yet. `silent`: its port is bound,
    and it does not answer. `away`: nobody listens there. `unknown`: it cannot be asked. `last_sweep_s` is
    the age of the newest sweep; `holds`: the brake keeps it from marking anybody offline.
    """

    state: State
    says: str
    last_sweep_s: float | None = None
    holds: bool = False


async def feel(settings: Settings) -> Pulse:
    """Ask the sweeper of this host, for two seconds at most."""
    if not settings.metrics_port:
        return Pulse("unknown", "METRICS_PORT is 0, so it cannot be asked")
    url = local_url(replace(settings, port=settings.metrics_port))
    try:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
        async with aiohttp.ClientSession(url, timeout=timeout) as session, session.get("/metrics") as answer:
            text = await answer.text()
    except TimeoutError:
        return Pulse("silent", f"it does not answer at {url}")
    except aiohttp.ClientConnectorError:
        return Pulse("away", f"nobody listens at {url}")
    except (aiohttp.ClientError, ValueError):
        return Pulse("unknown", f"whoever answers at {url} is no sweeper")
    return _read(text, url)


def _read(text: str, url: str) -> Pulse:
    try:
        values = {
            family.name: family.samples[0].value
            for family in text_string_to_metric_families(text)
            if family.samples
        }
        completed_at = values[_name(metrics.SWEEP_COMPLETED_AT)]
        interval_s = values[_name(metrics.SWEEP_INTERVAL)]
        holds = values[_name(metrics.HELD)] > 0
    except (ValueError, KeyError):
        return Pulse("unknown", f"whoever answers at {url} is no sweeper")
    if not completed_at:
        return Pulse("starting", "it has not finished a sweep yet")
    age = max(0.0, time.time() - completed_at)
    state: State = "late" if age > _LATE_AFTER_INTERVALS * interval_s else "sweeping"
    return Pulse(state, f"its last sweep ended {age:.0f} s ago", age, holds)


def _name(gauge: Gauge) -> str:
    return next(iter(gauge.describe())).name
