"""The services of a version: their units, the version that `current` leads to, and whether they are ready."""

import contextlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from deploy import layout
from deploy.host.release import Release
from deploy.host.steps import Step, StepFailed, content, must, point, points, run, succeeds, write

API = layout.SERVICES[1]
UNITS = (layout.TARGET, layout.SOCKET, *layout.SERVICES)
BOOT_FILES = {
    Path("/etc/sysusers.d/healthsweep.conf"): "healthsweep.sysusers.conf",
    Path("/etc/tmpfiles.d/healthsweep.conf"): "healthsweep.tmpfiles.conf",
}

_READY_SECONDS = 120.0  # the last api lets its installs end first
_ANSWER_SECONDS = 10.0
_HERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - who listens everywhere is asked here
_COMMAND = layout.CURRENT / "deploy" / "host" / "healthsweep"


def user(release: Release) -> Step:
    """The step that makes the user and the directories, now and at each boot."""
    files = {to: release.systemd / name for to, name in BOOT_FILES.items()}
    directories = (layout.CREDENTIALS, layout.STATE, layout.STATE / "plugins")

    def is_made() -> bool:
        there = _same(files) and all(path.exists() for path in directories)
        return there and succeeds("getent", "passwd", layout.USER)

    def make() -> None:
        _copy(files)
        sysusers, tmpfiles = files
        must("systemd-sysusers", sysusers)
        must("systemd-tmpfiles", "--create", tmpfiles)

    says = f"create the user {layout.USER}, {layout.STATE} and {layout.CREDENTIALS.parent}"
    return Step(says, do=make, is_done=is_made)


def switch_to(release: Release) -> list[Step]:
    """The steps that make the host run `release`: what is done to go forth, and to go back."""
    units = {layout.UNITS / name: release.systemd / name for name in UNITS}
    return [
        Step(
            f"write the units to {layout.UNITS}",
            do=lambda: _write_units(units),
            is_done=lambda: _same(units),
        ),
        Step(
            f"point {layout.CURRENT} at {release.name}",
            do=lambda: point(layout.CURRENT, release.place),
            is_done=lambda: points(layout.CURRENT, release.place),
        ),
        Step(
            f"point {layout.COMMAND} at its command",
            do=lambda: point(layout.COMMAND, _COMMAND),
            is_done=lambda: points(layout.COMMAND, _COMMAND),
        ),
        Step(
            "let the services start with the host",
            do=lambda: _systemctl("enable", *UNITS),
            is_done=lambda: all(succeeds("systemctl", "is-enabled", name) for name in UNITS),
        ),
        Step(
            "start the services, and wait until they are ready",
            do=_start,
            is_done=lambda: all(_is_ready(name, release) for name in layout.SERVICES),
        ),
        Step("check: /health, /ready, healthsweep status", do=_check, is_done=None),
    ]


def address() -> str:
    """Where the api is reached: its socket says it, also with a drop-in."""
    listens = must("systemctl", "show", "--property=Listen", "--value", layout.SOCKET).split()
    if not listens:
        raise StepFailed(f"{layout.SOCKET} listens nowhere: its drop-in needs a ListenStream")
    host, _, port = listens[0].rpartition(":")
    return f"http://{_HERE.get(host, host)}:{port}"


def _write_units(units: Mapping[Path, Path]) -> None:
    socket = layout.UNITS / layout.SOCKET
    if content(socket) not in (None, units[socket].read_bytes()):
        _systemctl("stop", layout.SOCKET, API)  # an open socket stays where it is, whatever its unit says
    _copy(units)


def _start() -> None:
    _systemctl("daemon-reload")
    began = f"@{time.time():.3f}"
    if run("systemctl", "restart", *layout.SERVICES, seconds=_READY_SECONDS).returncode != 0:
        problems = [_problem(name, since=began) for name in layout.SERVICES if not _is_active(name)]
        raise StepFailed("; ".join(problems) or "a service ended while it started")
    _systemctl("start", layout.TARGET)


def _check() -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for path in ("/health", "/ready"):
        try:
            opener.open(address() + path, timeout=_ANSWER_SECONDS).close()
        except (OSError, urllib.error.HTTPError) as problem:
            raise StepFailed(f"{address()}{path} does not answer well: {problem}") from problem
    must(layout.COMMAND, "status")


def _is_ready(name: str, release: Release) -> bool:
    """Whether it runs that version, with the unit and the secrets as they are now."""
    shown = _shown(name, "ActiveState", "MainPID", "NeedDaemonReload")
    if (shown["ActiveState"], shown["NeedDaemonReload"]) != ("active", "no"):
        return False
    given = Path("/run/credentials", name)
    known = all(content(path) == content(layout.CREDENTIALS / path.name) for path in given.glob("*"))
    return known and Path(f"/proc/{shown['MainPID']}/cwd").readlink() == release.place


def _is_active(name: str) -> bool:
    return _shown(name, "ActiveState")["ActiveState"] == "active"


def _problem(name: str, *, since: str) -> str:
    """Why it is not ready: its last error since then, or else the last that it said."""
    run("journalctl", "--sync")  # its last words may still be on their way
    ours = ("--output=cat", f"--identifier={name.removesuffix('.service')}", f"--since={since}")
    said = run("journalctl", *ours, "--priority=err").stdout or run("journalctl", *ours).stdout
    last = (said.splitlines() or ["it says nothing"])[-1]
    if last.startswith("{"):  # a line of our log, and no last word of the interpreter's
        with contextlib.suppress(ValueError):  # or else it is shown as it is
            line = json.loads(last)
            last = " ".join(str(line[key]) for key in ("event", "variable", "problem") if key in line)
    return f"{name}: {last[:300]}"


def _shown(name: str, *properties: str) -> dict[str, str]:
    lines = must("systemctl", "show", f"--property={','.join(properties)}", name).splitlines()
    return dict(line.split("=", 1) for line in lines)


def _systemctl(verb: str, *units: str) -> None:
    must("systemctl", "--quiet", verb, *units)


def _same(files: Mapping[Path, Path]) -> bool:
    return all(content(to) == source.read_bytes() for to, source in files.items())


def _copy(files: Mapping[Path, Path]) -> None:
    for to, source in files.items():
        if content(to) != source.read_bytes():
            to.parent.mkdir(exist_ok=True)
            write(to, source.read_bytes(), mode=0o644)
