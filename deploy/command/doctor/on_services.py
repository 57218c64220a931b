"""The services of this host: whether they run, answer at their ports, and have the right time."""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from deploy.command.doctor import ports
from deploy.command.doctor.finding import Finding, counted, failed, ok, skipped, warning
from deploy.command.pulse import feel
from deploy.handbook import Entry
from shared.settings import Settings
from shared.workspaces import local_url

_UNITS = ("healthsweep-sweeper.service", "healthsweep-api.service")
_PROGRAM_S = 5.0
_ANSWER_S = 3.0


async def units() -> Finding:
    """systemd runs both services, and has not had to start them again."""
    if not _systemd_runs():
        return skipped("systemd does not run here")
    states = [state for unit in _UNITS if (state := await _unit(unit)).loaded]
    if not states:
        return skipped("the units of healthsweep are not installed here")
    if down := [state.name for state in states if state.active != "active"]:
        mend = f"systemctl restart {' '.join(down)}; why: journalctl -u {down[0]} -n 50"
        return failed(f"not active: {', '.join(down)}", mend, Entry.SWEEPER_STOPPED)
    if disabled := [state.name for state in states if state.enabled not in ("enabled", "static", "alias")]:
        says = f"not enabled, so not started with the host: {', '.join(disabled)}"
        return warning(says, f"systemctl enable {' '.join(disabled)}")
    if again := [state for state in states if state.restarts]:
        counts = ", ".join(f"{state.name} {counted(state.restarts, 'time')}" for state in again)
        mend = f"journalctl -u {again[0].name} -p warning"
        return warning(f"had to be started again: {counts}", mend, Entry.SWEEPER_STOPPED)
    return ok("both services are active and enabled")


def _systemd_runs() -> bool:
    return Path("/run/systemd/system").exists()  # sd_booted(3)


@dataclass(frozen=True, slots=True)
class _Unit:
    """What systemd says of one unit."""

    name: str
    loaded: bool
    active: str
    enabled: str
    restarts: int


async def _unit(name: str) -> _Unit:
    wanted = "--property=LoadState,ActiveState,UnitFileState,NRestarts"
    said = await _said(["systemctl", "show", name, wanted])
    values = dict(line.partition("=")[::2] for line in said.splitlines())
    return _Unit(
        name,
        loaded=values.get("LoadState") == "loaded",
        active=values.get("ActiveState", ""),
        enabled=values.get("UnitFileState", ""),
        restarts=int(values.get("NRestarts") or 0),
    )


async def api_port(settings: Settings) -> Finding:
    """The api answers at its port, and it is ours."""
    url = local_url(settings)
    try:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        async with aiohttp.ClientSession(url, timeout=timeout) as session, session.get("/ready") as answer:
            said = await answer.json(content_type=None)
            ours = isinstance(said, dict) and "database" in said and "engine" in said
            ready = answer.status == 200  # noqa: PLR2004 - HTTP's own number
    except TimeoutError:
        return failed(
            f"it does not answer at {url}", f"{_restart('api')}; is it stopped? {_holder(settings.port)}"
        )
    except aiohttp.ClientConnectorError:
        return failed(f"nobody listens at {url}", _restart("api"))
    except (aiohttp.ClientError, ValueError):
        ours, ready = False, False
    if not ours:
        says = f"another program answers at {url}: {_holder(settings.port)}"
        return failed(says, f"end it, or set PORT to another; who it is: {_who(settings.port)}")
    if not ready:
        return failed(
            f"it answers at {url} that its database is {said['database']}", "healthsweep doctor, above"
        )
    return ok(f"the api answers at {url}")


async def sweeper(settings: Settings) -> Finding:
    """The sweeper sweeps."""
    pulse = await feel(settings)
    url = local_url(replace(settings, port=settings.metrics_port))
    if pulse.state == "sweeping":
        if not settings.sweep_write:
            says = f"it sweeps and writes nothing: SWEEP_WRITE is off; {pulse.says}"
            return warning(says, "SWEEP_WRITE=on, when nobody else marks workspaces any more")
        return ok(f"it sweeps: {pulse.says}")
    if pulse.state != "unknown":
        return failed(f"it does not sweep: {pulse.says}", _restart("sweeper"), Entry.SWEEPER_STOPPED)
    if not settings.metrics_port:
        return skipped(f"not known whether it sweeps: {pulse.says}")
    says = f"another program answers at {url}: {_holder(settings.metrics_port)}"
    mend = f"end it, or set METRICS_PORT to another; who it is: {_who(settings.metrics_port)}"
    return failed(says, mend, Entry.SWEEPER_STOPPED)


def _restart(service: str) -> str:
    return f"systemctl restart healthsweep-{service}; without systemd: bash deploy/run"


def _holder(port: int) -> str:
    return ports.holder(port) or "who it is, root can see"


def _who(port: int) -> str:
    return f"ss -ltnp 'sport = :{port}'"


async def time_synchronised() -> Finding:
    """The clock of this host is kept right."""
    if not _systemd_runs() or shutil.which("timedatectl") is None:
        return skipped("there is no timedatectl here to ask")
    if (await _said(["timedatectl", "show", "--property=NTPSynchronized", "--value"])).strip() == "yes":
        return ok("the clock is synchronised")
    return warning("the clock of this host is not synchronised", "timedatectl set-ntp true")


async def _said(command: Sequence[str]) -> str:
    """What a program of the system prints. Raises TimeoutError."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_PROGRAM_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output.decode(errors="replace")
