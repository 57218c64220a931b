"""The services of this host: whether they run, answer at their ports, and have the right time."""

import shutil
from collections.abc import Mapping
from dataclasses import replace

import aiohttp

from deploy import layout
from deploy.command.doctor import ports, store, units
from deploy.command.doctor.finding import Finding, counted, failed, ok, skipped, warning
from deploy.command.pulse import feel
from deploy.handbook import Entry
from shared.database import Database, check_schema
from shared.settings import Settings
from shared.workspaces import local_url

_SWEEPER, _API = layout.SERVICES
_ENTRIES = {_SWEEPER: Entry.SWEEPER_STOPPED, _API: Entry.SETTINGS}
_PROPERTIES = ("ActiveState", "SubState", "NRestarts")
_ANSWER_S, _LONGEST_ANSWER_S = 2.0, 12.0


async def services() -> Finding:
    """systemd runs both services, and has not had to start them again."""
    if not units.systemd_runs():
        return skipped("systemd does not run here")
    states = {name: await units.shown(name, *_PROPERTIES) for name in layout.SERVICES}
    installed = {name: state for name, state in states.items() if state is not None}
    if not installed:
        return skipped("the units of healthsweep are not installed here")
    target = await units.shown(layout.TARGET, "UnitFileState")
    return judged(installed, enabled=target is not None and target["UnitFileState"] == "enabled")


def judged(states: Mapping[str, Mapping[str, str]], *, enabled: bool) -> Finding:
    """What the properties of the services mean; `enabled` is whether the host starts the target."""
    unready = [name for name, state in states.items() if state["ActiveState"] != "active"]
    waiting = [name for name in unready if _waits(states[name])]
    if down := [name for name in unready if name not in waiting]:
        mend = f"systemctl restart {' '.join(down)}; why: journalctl -u {down[0]} -n 50"
        return failed(f"not active: {', '.join(down)}", mend, _ENTRIES[down[0]])
    if waiting:
        return warning(f"started, and waiting: {', '.join(waiting)}", _see_above(waiting[0]))
    if not enabled:
        says = f"{layout.TARGET} is not enabled: the host starts without it"
        return warning(says, f"systemctl enable {layout.TARGET}")
    if again := {name: times for name, state in states.items() if (times := int(state["NRestarts"]))}:
        counts = ", ".join(f"{name} {counted(times, 'time')}" for name, times in again.items())
        first = next(iter(again))
        mend = f"journalctl -u {first} -p warning; then systemctl reset-failed {first}"
        return warning(f"had to be started again: {counts}", mend, _ENTRIES[first])
    return ok("both services are active and enabled")


def _waits(state: Mapping[str, str]) -> bool:
    """Whether it runs and has not said that it is ready: it is not while the database is away.

    One that crashed is `activating`, too, while systemd waits before it starts it again.
    """
    return state["ActiveState"] == "activating" and not state["SubState"].startswith("auto-restart")


def _see_above(service: str) -> str:
    return f"what is said above of the database; if nothing is: journalctl -u {service} -n 50"


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
        elsewhere = f"listen at another port: systemctl edit {layout.SOCKET}; without systemd: PORT"
        return failed(says, f"who it is: {_who(settings.port)}; end it, or {elsewhere}")
    if not ready:
        says = f"it answers at {url} that its database is {said['database']}"
        return failed(says, "what is said above of the database", Entry.DATABASE_AWAY)
    return ok(f"the api answers at {url}")


async def sweeper(settings: Settings, database: Database | None) -> Finding:
    """The sweeper sweeps. Raises what the database does where it keeps the sweeper from its work."""
    pulse = await feel(settings)
    url = local_url(replace(settings, port=settings.metrics_port))
    if pulse.state == "sweeping":
        if not settings.sweep_write:
            says = f"it sweeps and writes nothing: SWEEP_WRITE is off; {pulse.says}"
            return warning(says, "SWEEP_WRITE=on, when nobody else marks workspaces any more")
        return ok(f"it sweeps: {pulse.says}")
    if pulse.state == "starting":
        return warning(f"it waits, or has just begun: {pulse.says}", _see_above(_SWEEPER))
    if pulse.state == "late" and database is not None:
        await _try(database)
    if pulse.state != "unknown":
        return failed(f"it does not sweep: {pulse.says}", _restart("sweeper"), Entry.SWEEPER_STOPPED)
    if not settings.metrics_port:
        return skipped(f"not known whether it sweeps: {pulse.says}")
    says = f"another program answers at {url}: {_holder(settings.metrics_port)}"
    mend = f"end it, or set METRICS_PORT to another; who it is: {_who(settings.metrics_port)}"
    return failed(says, mend, Entry.SWEEPER_STOPPED)


async def _try(database: Database) -> None:
    """What a sweep needs of it. Raises DatabaseUnavailable, SchemaError."""
    async with database.connection() as connection:
        await check_schema(connection)
        await store.try_to_write(connection)


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
