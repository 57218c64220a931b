"""`deploy/install uninstall`: programs and units go; data and settings stay unless they too shall go."""

import os
import shutil
from pathlib import Path

from deploy import layout
from deploy.host import database
from deploy.host.configuration import variables
from deploy.host.services import BOOT_FILES, UNITS
from deploy.host.steps import Step, must, run, succeeds


def uninstall(*, purge: bool) -> list[Step]:
    """The steps. Each can be done again where a later one failed."""
    steps = [
        Step(
            "stop the services",
            do=lambda: _systemctl("stop", *UNITS),
            is_done=lambda: not any(succeeds("systemctl", "is-active", name) for name in UNITS),
        ),
        Step(
            "no longer start them with the host",
            do=lambda: _systemctl("disable", *UNITS),
            is_done=lambda: not any(succeeds("systemctl", "is-enabled", name) for name in UNITS),
        ),
        _remove("the units", *(layout.UNITS / name for name in UNITS), *BOOT_FILES),
        Step("let systemd forget them", do=lambda: _systemctl("daemon-reload"), is_done=_is_forgotten),
        _remove("the command and all versions", layout.COMMAND, layout.PROGRAMS),
    ]
    return [*steps, *_purge()] if purge else steps


def kept_database() -> str:
    """Which database stays where everything else is purged: what was not made here. Empty where none does."""
    url = variables({}).get("DATABASE_URL")
    if url == database.PEER_URL:
        return f"the database {layout.USER}, which was here before," if database.was_there_before() else ""
    return "the database that DATABASE_URL named" if url else ""


def _purge() -> list[Step]:
    ours = variables({}).get("DATABASE_URL") == database.PEER_URL and not kept_database()
    return [
        *([database.removal()] if ours else []),
        _remove("the units' drop-ins", *(layout.UNITS / f"{name}.d" for name in UNITS)),
        _remove("settings, secrets and data", layout.SETTINGS.parent, layout.STATE),
        Step(
            f"remove the user {layout.USER}",
            do=lambda: must("userdel", layout.USER),
            is_done=lambda: not succeeds("getent", "passwd", layout.USER),
        ),
    ]


def _remove(what: str, *paths: Path) -> Step:
    def remove() -> None:
        for path in paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    names = ", ".join(map(os.fspath, paths))
    return Step(f"remove {what}: {names}", do=remove, is_done=lambda: not any(map(os.path.lexists, paths)))


def _is_forgotten() -> bool:
    return not run("systemctl", "show", "--property=FragmentPath", "--value", *UNITS).stdout.strip()


def _systemctl(verb: str, *units: str) -> None:
    must("systemctl", "--quiet", verb, *units)
