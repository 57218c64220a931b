"""Settings and secrets below /etc/healthsweep: written once, and from then on the operator's own."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import fields
from grp import getgrnam
from pathlib import Path
from typing import Any

from deploy import layout
from deploy.home import read_variables
from deploy.host.steps import Step, StepFailed, content, write
from shared.settings import Settings

_HEAD = """\
# Settings of healthsweep's two services. A line without the # in front of it counts; after a change:
#     systemctl restart healthsweep.target
# Durations are seconds, or carry a unit (500ms, 2m, 90d). What is shown is the default.
# The secrets, DATABASE_URL and ADMIN_TOKEN, are files of their own in /etc/healthsweep/credentials.
"""
_ABOUT_THE_ADDRESS = """
# Where the api listens is said by its socket, not here: systemctl edit healthsweep-api.socket
# BIND_ADDRESS is the address of the sweeper's metrics alone.
"""
_SECRETS = tuple(setting.name.upper() for setting in fields(Settings) if setting.metadata["secret"])
_ELSEWHERE = ("healthsweep_home", "port")  # what the units say


def settings_file() -> Step:
    """The step that writes the settings file, where there is none.

    On a host where no version runs yet, what somebody has set beforehand is kept, below the defaults.
    """

    def write_it() -> None:
        group = getgrnam(layout.USER).gr_gid
        own = (content(layout.SETTINGS) or b"").decode()
        write(layout.SETTINGS, settings_text() + (own and f"\n{own}"), mode=0o640, group=group)

    def is_done() -> bool:
        own = content(layout.SETTINGS)
        return own is not None and (own.startswith(_HEAD.encode()) or layout.CURRENT.exists())

    return Step(f"write {layout.SETTINGS}, all defaults", do=write_it, is_done=is_done)


def settings_text() -> str:
    """Every setting with its default, commented out."""
    defaults = Settings.load({"HEALTHSWEEP_HOME": str(layout.STATE)}).shown()
    parts = [_HEAD]
    for setting in fields(Settings):
        variable = setting.name.upper()
        if variable in _SECRETS or setting.name in _ELSEWHERE:
            continue
        if variable == "BIND_ADDRESS":
            parts.append(_ABOUT_THE_ADDRESS)
        parts.append(f"\n# {setting.metadata['about']}\n#{variable}={_as_text(defaults[variable])}\n")
    return "".join(parts)


def admin_token() -> Step:
    """The step that makes up the administrator's token, where there is none."""
    path = layout.CREDENTIALS / "ADMIN_TOKEN"
    token = f"{secrets.token_urlsafe(32)}\n"
    return Step(f"make up a token for {path}", do=lambda: write(path, token, mode=0o600), is_done=path.exists)


def database_url(url: str) -> Step:
    """The step that tells the services of the database at `url`."""
    path = layout.CREDENTIALS / "DATABASE_URL"
    text = f"{url}\n"
    return Step(
        f"write {path}",
        do=lambda: write(path, text, mode=0o600),
        is_done=lambda: variables({}).get("DATABASE_URL") == url,
    )


def refuse_another_url(url: str) -> None:
    """Raises StepFailed where the settings file says another database: the services would use that one."""
    said = _settings().get("DATABASE_URL")
    if not said or said == url:
        return
    lines = enumerate(layout.SETTINGS.read_text().splitlines(), start=1)
    number = max(number for number, line in lines if line.startswith("DATABASE_URL="))
    raise StepFailed(
        f"line {number} of {layout.SETTINGS} names another database than DATABASE_URL in your environment, "
        "and the services would use that one: remove the line, or install without DATABASE_URL"
    )


def variables(own: Mapping[str, str]) -> dict[str, str]:
    """`own`, completed as systemd completes a service's environment. Raises StepFailed, PermissionError.

    What only root may read is read here: a process that is to become another user's has it by then.
    """
    known = _settings()
    for name in _SECRETS:
        if not known.get(name) and (secret := _secret(layout.CREDENTIALS / name)):
            known[name] = secret
    return {"HEALTHSWEEP_HOME": os.fspath(layout.STATE), **known, **own}


def _settings() -> dict[str, str]:
    try:
        return read_variables(layout.SETTINGS)
    except ValueError as problem:
        raise StepFailed(f"{layout.SETTINGS} cannot be read: {problem}") from problem


def _secret(path: Path) -> str:
    try:
        return (content(path) or b"").decode().strip()
    except IsADirectoryError as problem:
        raise StepFailed(f"{path} is a directory: it has to be a file, with the secret in it") from problem
    except UnicodeDecodeError as problem:
        raise StepFailed(f"{path} is no UTF-8 text: write the secret anew") from problem


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)
