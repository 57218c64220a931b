"""Settings: whether they can be used, are meant so, and are kept private."""

import difflib
import stat
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from deploy import layout
from deploy.command.doctor.finding import Finding, counted, failed, ok, warning
from deploy.handbook import Entry
from deploy.home import read_environment
from shared.errors import SettingsError
from shared.settings import Settings

_SECRETS = tuple(setting.name.upper() for setting in fields(Settings) if setting.metadata["secret"])
_KNOWN = tuple(setting.name.upper() for setting in fields(Settings))
_OPEN = stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP
_ALIKE = 0.87
_SHORTEST_TYPO = 8
"""Shorter names resemble too many that others use."""
_SHORTEST_TOKEN = 24


def usable(environ: Mapping[str, str]) -> tuple[Settings, list[SettingsError]]:
    """The settings without those that are refused, and why: the rest can be looked at all the same."""
    left, problems = dict(environ), list[SettingsError]()
    while True:
        try:
            return Settings.load(left), problems
        except SettingsError as exc:
            problems.append(exc)
            variable = exc.variable.removesuffix("_FILE")
            blamed = [name for name in (variable, f"{variable}_FILE") if left.pop(name, None)]
            if not blamed and left.pop("CREDENTIALS_DIRECTORY", None) is None:
                left = {}


async def settings_usable(problems: Sequence[SettingsError]) -> Finding:
    """Every setting is within its range."""
    if not problems:
        return ok("every setting can be used")
    variables = ", ".join(problem.variable for problem in problems)
    says = "; ".join(map(str, problems))
    return failed(says, f"correct {variables}, then look at `healthsweep config`", Entry.SETTINGS)


async def settings_known(environ: Mapping[str, str], home: Path) -> Finding:
    """No variable is misspelt: an unknown one is ignored in silence."""
    known = {*_KNOWN, *(f"{name}_FILE" for name in _SECRETS)}
    unknown = {name for name in _environment_file(home) if name not in known}
    meant = {name: _meant(name, known) for name in environ if name not in known}
    typos = {name: meaning for name, meaning in meant.items() if meaning or name in unknown}
    if not typos:
        return ok("no variable looks like a misspelt setting")
    listed = ", ".join(f"{name} (is it {typos[name]}?)" if typos[name] else name for name in sorted(typos))
    return warning(f"not a setting, and ignored: {listed}", "rename it, or `unset` it", Entry.SETTINGS)


def _meant(name: str, known: set[str]) -> str | None:
    plain = name.removeprefix("HEALTHSWEEP_")
    if plain in known:  # HEALTHSWEEP_PORT: settings carry no prefix
        return plain
    if name.startswith("HEALTHSWEEP_"):
        return next(iter(difflib.get_close_matches(plain, known, 1, _ALIKE)), None)
    alike = difflib.get_close_matches(name, known, 1, _ALIKE) if len(name) >= _SHORTEST_TYPO else []
    return next(iter(alike), None)


def files_with_secrets(
    environ: Mapping[str, str],
    home: Path,
    *,
    settings: Path = layout.SETTINGS,
    credentials: Path = layout.CREDENTIALS,
) -> list[Path]:
    """All in which secrets may lie: those that are named, a running product's, and a host's."""
    named = [Path(environ[name]) for secret in _SECRETS if environ.get(name := f"{secret}_FILE")]
    return [*named, home / "env", settings, *(credentials / secret for secret in _SECRETS)]


async def secrets_private(files: Sequence[Path]) -> Finding:
    """Whoever may not administer this host can read none of the files with secrets."""
    modes = {file: mode for file in files if (mode := _mode(file)) is not None}
    open_to_others = [file for file, mode in modes.items() if mode & _OPEN]
    if not open_to_others:
        return ok(f"{counted(len(modes), 'file')} with secrets, private" if modes else "no file has secrets")
    names = " ".join(map(str, open_to_others))
    return failed(f"others may read {names}", f"chmod 600 {names}", Entry.SETTINGS)


def _mode(file: Path) -> int | None:
    """Its permissions; None if it is not there, and 0 if it lies where not even we may look."""
    try:
        return file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        return 0


async def admin_token(settings: Settings) -> Finding:
    """The operators' routes are open for operators, and for nobody who can guess."""
    mend = "set it to what this prints: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
    if settings.admin_token is None:
        return failed("ADMIN_TOKEN is not set: the operators' routes are closed", mend, Entry.AUTH_REJECTED)
    if len(settings.admin_token) < _SHORTEST_TOKEN:
        says = f"ADMIN_TOKEN has {len(settings.admin_token)} characters, and can be guessed"
        return warning(says, mend)
    return ok("ADMIN_TOKEN is set")


def _environment_file(home: Path) -> Mapping[str, str]:
    try:
        return read_environment(home)
    except (SettingsError, OSError):  # told by the check of the settings
        return {}
