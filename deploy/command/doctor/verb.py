"""What `healthsweep doctor` does: look at everything, say it, and tell a script whether something failed."""

import asyncio
import os
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from rich.text import Text

from deploy.command import tables
from deploy.command.doctor import on_database, on_engine, on_files, on_services, on_settings
from deploy.command.doctor.finding import Check, Found, Mark, examine
from deploy.command.reach import database_of, environment
from deploy.handbook import where
from shared import logs
from shared.database import Database
from shared.engine import Engine
from shared.errors import SettingsError
from shared.settings import Settings

_COLOURS: dict[Mark, str] = {"ok": "green", "warning": "yellow", "failed": "bold red", "skipped": "dim"}


def doctor(options: Namespace) -> int:
    """The exit status: 1 if something failed, else 0. What is wrong with the settings is a finding, too."""
    logs.configure("command", level="error", form="json", stream=sys.stderr)
    found = asyncio.run(look(os.environ))
    if options.json:
        tables.print_json(document(found))
    else:
        _print(found)
    sys.stdout.flush()
    return 1 if any(each.finding.mark == "failed" for each in found) else 0


async def look(own: Mapping[str, str]) -> list[Found]:
    """What every check finds for somebody with this environment."""
    environ, problems = _completed(own)
    settings, refused = on_settings.usable(environ)
    problems += [problem for problem in refused if str(problem) not in map(str, problems)]
    async with Engine(settings.docker_host, timeout=settings.engine_timeout) as engine:
        if settings.database_url is None:
            return await examine(_checks(settings, environ, problems, engine, None))
        try:
            async with database_of(settings, any_schema=True) as database:
                return await examine(_checks(settings, environ, problems, engine, database))
        except SettingsError as exc:
            problems.append(exc)
            return await examine(_checks(settings, environ, problems, engine, None))


def _completed(own: Mapping[str, str]) -> tuple[dict[str, str], list[SettingsError]]:
    """The environment with what a running product says, as every verb has it."""
    try:
        return environment(own), []
    except SettingsError as exc:
        return dict(own), [exc]
    except OSError as exc:
        return dict(own), [
            SettingsError("HEALTHSWEEP_HOME", f"has a file env that cannot be read: {exc.strerror}")
        ]


def _checks(
    settings: Settings,
    environ: Mapping[str, str],
    problems: Sequence[SettingsError],
    engine: Engine,
    database: Database | None,
) -> list[Check]:
    """Everything that is looked at, in the order in which it is told."""
    home = settings.healthsweep_home
    secrets = on_settings.files_with_secrets(environ, home)
    return [
        Check("settings usable", partial(on_settings.settings_usable, problems)),
        Check("settings known", partial(on_settings.settings_known, environ, home)),
        Check(
            "secrets private",
            partial(on_settings.secrets_private, secrets),
        ),
        Check("ADMIN_TOKEN", partial(on_settings.admin_token, settings)),
        Check("database reachable", partial(on_database.database_reachable, database)),
        *(_checks_of_database(settings, engine, database) if database else []),
        Check("engine socket", partial(on_engine.engine_socket, settings)),
        Check("engine answers", partial(on_engine.engine_answers, engine, settings)),
        Check("engine safe", partial(on_engine.engine_safe, engine)),
        Check("plugin registry", partial(on_files.registry, settings)),
        Check("disk", partial(on_files.disk, settings)),
        Check("services", on_services.services),
        Check("api", partial(on_services.api_port, settings)),
        Check("sweeper", partial(on_services.sweeper, settings, database)),
        Check("time", on_services.time_synchronised),
    ]


def _checks_of_database(settings: Settings, engine: Engine, database: Database) -> list[Check]:
    return [
        Check("database migrated", partial(on_database.database_migrated, database)),
        Check("database writable", partial(on_database.database_writable, database)),
        Check("database clock", partial(on_database.database_clock, database)),
        Check("status writers", partial(on_database.status_writers, database)),
        Check("tokens live", partial(on_database.tokens_live, database)),
        Check("agents can call", partial(on_database.agents_can_call, database, settings)),
        Check("fleet known", partial(on_engine.fleet_known, engine, database, settings)),
    ]


def document(found: Sequence[Found]) -> dict[str, Any]:
    """What programs read; keys are added, never renamed."""
    marks = Counter(each.finding.mark for each in found)
    return {
        "ok": not marks["failed"],
        "marks": {mark: marks[mark] for mark in _COLOURS},
        "checks": [
            {
                "name": each.name,
                "mark": each.finding.mark,
                "says": each.finding.says,
                "mend": each.finding.mend,
                "handbook": where(each.finding.entry) if each.finding.entry else None,
            }
            for each in found
        ],
    }


def _print(found: Sequence[Found]) -> None:
    console = tables.console()
    width = max(len(each.name) for each in found)
    for each in found:
        finding = each.finding
        line = Text(f"{finding.mark:<7}", style=_COLOURS[finding.mark])
        line.append(f"  {each.name:<{width}}  {tables.printable(finding.says)}", style="default not bold")
        console.print(line, soft_wrap=True)
        if finding.mend:
            console.print(Text(f"{'':<9}mend: {tables.printable(finding.mend)}"), soft_wrap=True)
        if finding.entry:
            console.print(Text(f"{'':<9}read: {where(finding.entry)}", style="dim"), soft_wrap=True)
    marks = Counter(each.finding.mark for each in found)
    console.print(", ".join(f"{marks[mark]} {mark}" for mark in _COLOURS if marks[mark]), highlight=False)
