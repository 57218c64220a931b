"""The services of this host: whether they run, answer at their ports, and have the right time."""

import shutil
from dataclasses import replace

import aiohttp

from deploy.command.doctor import ports, units
from deploy.command.doctor.finding import Finding, counted, failed, ok, skipped, warning
from deploy.command.pulse import feel
from deploy.handbook import Entry
from shared.settings import Settings
from shared.workspaces import local_url

_TARGET = "healthsweep.target"
_ANSWER_S, _LONGEST_ANSWER_S = 2.0, 12.0


async def services() -> Finding:
    """systemd runs both services, and has not had to start them again."""
    if not units.systemd_runs():
        return skipped("systemd does not run here")
    states = [(name, await units.shown(name, "ActiveState", "NRestarts")) for name in units.SERVICES]
    installed = [(name, state) for name, state in states if state is not None]
    if not installed:
        return skipped("the units of healthsweep are not installed here")
    target = await units.shown(_TARGET, "UnitFileState")
    if down := [name for name, state in installed if state["ActiveState"] != "active"]:
        mend = f"systemctl restart {' '.join(down)}; why: journalctl -u {down[0]} -n 50"
        return failed(f"not active: {', '.join(down)}", mend, Entry.SWEEPER_STOPPED)
    if target is None or target["UnitFileState"] != "enabled":
        return warning(f"{_TARGET} is not enabled: the host starts without it", f"systemctl enable {_TARGET}")
    if again := [(name, int(state["NRestarts"])) for name, state in installed if state["NRestarts"] != "0"]:
        counts = ", ".join(f"{name} {counted(times, 'time')}" for name, times in again)
        mend = f"journalctl -u {again[0][0]} -p warning; then systemctl reset-failed {again[0][0]}"
        return warning(f"had to be started again: {counts}", mend, Entry.SWEEPER_STOPPED)
    return ok("both services are active and enabled")


async def api_port(settings: Settings) -> Finding:
    """The api answers at its port, and it is ours."""
    settings = await units.with_address_of_api(settings)
    url = local_url(settings)
    try:
        # It asks Docker before it answers, and waits as long for that as it would for a request.
        patience_s = min(_ANSWER_S + settings.engine_timeout, _LONGEST_ANSWER_S)
        timeout = aiohttp.ClientTimeout(total=patience_s)
        async with aiohttp.ClientSession(url, timeout=timeout) as session, session.get("/ready") as answer:
            said = await answer.json(content_type=None)
            ours = isinstance(said, dict) and "database" in said and "engine" in said
            ready = answer.status == 200  # noqa: PLR2004 - HTTP's own number
    except TimeoutError:
        says = f"whoever listens at {url} does not answer: {_holder(settings.port)}"
        return failed(says, _restart("api"))
    except aiohttp.ClientConnectorError:
        return failed(f"nobody listens at {url}", _restart("api"))
    except (aiohttp.ClientError, ValueError):
        ours, ready = False, False
    if not ours:
        says = f"another program answers at {url}: {_holder(settings.port)}"
        return failed(says, f"end it, or set PORT to another; who it is: {_who(settings.port)}")
    if not ready:
        says = f"it answers at {url} that its database is {said['database']}"
        return failed(says, "what is said above of the database", Entry.DATABASE_AWAY)
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
    if not units.systemd_runs() or shutil.which("timedatectl") is None:
        return skipped("there is no timedatectl here to ask")
    if (await units.run(["timedatectl", "show", "--property=NTPSynchronized", "--value"])).strip() == "yes":
        return ok("the clock is synchronised")
    return warning("the clock of this host is not synchronised", "timedatectl set-ntp true")
