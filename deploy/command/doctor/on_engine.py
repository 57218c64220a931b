"""Docker: whether it can be asked, how old it is, and whether it is the right one."""

import asyncio
import os
import re
import stat
import time
from pathlib import Path

from deploy.command.doctor.finding import Finding, failed, ok, skipped, warning
from deploy.handbook import Entry
from shared.database import Database
from shared.engine import Engine
from shared.errors import EngineError
from shared.running import NotRunning, container_snapshot
from shared.settings import Settings
from sweeper.store import SweepStore, Workspace
from sweeper.sweep import BRAKE_AT

_FIXED_IN = (
    # The record of each is https://www.cve.org/CVERecord?id=...
    ("CVE-2026-41567", (29, 5, 1)),  # compressed uploads run the container's programs as root; ours are not
    ("CVE-2026-41568", (29, 5, 1)),  # an upload can be led to make empty files on the host
    ("CVE-2026-42306", (29, 5, 1)),  # an upload can be led to mount over files of the host
)
"""What concerns uploads into containers, as installs are, and the first Docker Engine without it."""
_OLDEST_API = (1, 41)
_SLOW_S = 1.0
_SEE_WHAT_HANGS = (
    "journalctl -u docker -n 50; a restart of Docker ends all containers, unless live-restore is on"
)


async def engine_socket(settings: Settings) -> Finding:
    """The socket of DOCKER_HOST is there, and we may use it."""
    host = settings.docker_host
    if not host.startswith("unix://"):
        return skipped(f"DOCKER_HOST is {host}, and no file")
    return await asyncio.to_thread(_socket, Path(host.removeprefix("unix://")))


def _socket(socket: Path) -> Finding:
    try:
        kind = socket.stat().st_mode
    except PermissionError:
        return failed(f"{socket} lies where we may not look", _let_in(socket.parent), Entry.ENGINE_AWAY)
    except OSError as exc:
        mend = "systemctl start docker; if it runs, correct DOCKER_HOST"
        return failed(f"{socket} is not there ({exc.strerror})", mend, Entry.ENGINE_AWAY)
    if not stat.S_ISSOCK(kind):
        return failed(f"{socket} is no socket", "correct DOCKER_HOST", Entry.ENGINE_AWAY)
    if not os.access(socket, os.R_OK | os.W_OK):
        return failed(f"we may not use {socket}", _let_in(socket), Entry.ENGINE_AWAY)
    return ok(f"{socket} is there, and open to us")


def _let_in(place: Path) -> str:
    try:
        group = place.group()
    except (OSError, KeyError):
        group = "docker"
    return f"usermod --append --groups {group} USER, and log in or start the service again"


async def engine_answers(engine: Engine, settings: Settings) -> Finding:
    """It answers in time, and speaks a version that we speak."""
    started = time.monotonic()
    try:
        said = await engine.version()
    except EngineError as exc:
        hangs = exc.reason == "timeout"
        says = f"it could not answer: {exc}"
        mend = _SEE_WHAT_HANGS if hangs else "systemctl status docker; if it runs, correct DOCKER_HOST"
        return failed(says, mend, Entry.ENGINE_AWAY)
    took = time.monotonic() - started
    api_version = said.get("ApiVersion")
    if _numbers(api_version) < _OLDEST_API:
        says = f"it speaks version {api_version} of its interface, and 1.41 is needed"
        return failed(says, "apt-get install docker.io, of Debian 12 or later", Entry.ENGINE_AWAY)
    if took > min(_SLOW_S, settings.engine_timeout / 2):
        says = f"it took {took:.1f} s to answer, and after {settings.engine_timeout:g} s nobody waits"
        return warning(says, "see what keeps it busy: `docker ps`, `journalctl -u docker`", Entry.ENGINE_AWAY)
    return ok(f"version {said.get('Version')}, interface {api_version}, answered in {took * 1000:.0f} ms")


async def engine_safe(engine: Engine) -> Finding:
    """No hole is known in it through which a container gets at the host during an upload."""
    try:
        said = await engine.version()
    except EngineError as exc:
        return skipped(f"it could not answer ({exc.reason})")
    if not _is_docker(said.get("Components")):
        return skipped("it is not Docker's own engine, whose versions these are")
    version = said.get("Version")
    holes = [name for name, fixed in _FIXED_IN if _numbers(version) < fixed]
    if not holes:
        return ok(f"version {version} has what is known to be mended")
    says = f"by its number {version} has {', '.join(holes)}, if its distribution has not mended that"
    return warning(
        says, "apt-get update && apt-get install --only-upgrade docker.io, or docker-ce 29.5.1 and later"
    )


def _is_docker(components: object) -> bool:
    """Podman names itself; dockerd says `Engine`, and very old ones say nothing."""
    return not (isinstance(components, list) and any("Podman" in str(part) for part in components))


def _numbers(version: object) -> tuple[int, ...]:
    """The numbers that a version begins with; none for what is no version."""
    found = re.match(r"\d+(\.\d+)*", version) if isinstance(version, str) else None
    return tuple(int(part) for part in found[0].split(".")) if found else ()


async def fleet_known(engine: Engine, database: Database, settings: Settings) -> Finding:
    """It is the engine that the workspaces' containers are in."""
    store = SweepStore(database, unswept_runtimes=settings.unswept_runtimes)
    fleet = [
        each for each in (await store.fleet()).workspaces if each.runtime not in settings.external_runtimes
    ]
    if not fleet:
        return skipped("there is no workspace with a container here")
    try:
        missing = await _missing(engine, fleet)
    except EngineError as exc:
        return skipped(f"it could not answer ({exc.reason})")
    says = f"{len(fleet) - len(missing)} of {len(fleet)} ws-* known to this engine"
    wanted = sum(each.status in ("online", "degraded") for each in missing)
    if len(missing) < len(fleet) or not wanted:
        return ok(says)
    mend = "correct DOCKER_HOST; if the containers are really gone: healthsweep sweep --once --force"
    if wanted < BRAKE_AT:
        return warning(f"{says}: is DOCKER_HOST another engine than theirs?", mend, Entry.SWEEP_HELD)
    return failed(f"{says}: the brake holds, nothing is marked offline", mend, Entry.SWEEP_HELD)


async def _missing(engine: Engine, fleet: list[Workspace]) -> list[Workspace]:
    """Whose container is not in the list; raises EngineError where Docker could not tell about one."""
    snapshot = await container_snapshot(engine)
    missing = []
    for each in fleet:
        seen = snapshot.state(each.id, short_name_is_unique=each.short_name_is_unique)
        if isinstance(seen, NotRunning) and seen.reason == "missing":
            missing.append(each)
    return missing
