"""`healthsweep`: the operator's command. Its environment is completed from `$HEALTHSWEEP_HOME/env`."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable

from deploy.command import plugin_verbs, token_verbs, verbs
from deploy.command.doctor.verb import doctor
from deploy.command.reach import environment
from deploy.command.triage.run import main as triage
from deploy.command.why.verb import why
from shared import __version__, logs
from shared.database import ROW_REFUSED
from shared.errors import DatabaseUnavailable, HealthsweepError, SchemaNewer, SettingsError
from shared.process import EX_CONFIG
from shared.settings import Settings
from shared.transitions import STATUSES


def parser() -> argparse.ArgumentParser:
    """Every verb, with what it takes."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    command = argparse.ArgumentParser(prog="healthsweep", description="Operate healthsweep on this host.")
    command.add_argument("--version", action="version", version=f"healthsweep {__version__}")
    these = commands = command.add_subparsers(required=True, metavar="VERB")

    verb = these.add_parser("migrate", parents=[common], help="bring the database to this version's schema")
    verb.add_argument("--wait", action="store_true", help="wait for a database that is away")
    verb.set_defaults(run=verbs.migrate_database)

    verb = these.add_parser("config", parents=[common], help="every setting as it is in force")
    verb.set_defaults(run=verbs.config)

    verb = these.add_parser("sweep", parents=[common], help="one sweep now, with the graces that it starts")
    verb.add_argument("--once", action="store_true", required=True, help="the daemon is `python -m sweeper`")
    verb.add_argument("--dry-run", action="store_true", help="say what would change, write nothing")
    verb.add_argument("--force", action="store_true", help="mark even if this looks like the wrong engine")
    verb.set_defaults(run=verbs.sweep_once)

    _add_questions(commands.add_parser, common)

    workspace = these.add_parser("workspace", help="add, list, pause, resume or remove workspaces")
    these = workspace.add_subparsers(required=True, metavar="VERB")

    verb = these.add_parser(
        "add", parents=[common], help="create a workspace; its container is yours to make"
    )
    verb.add_argument("name", type=_text)
    verb.add_argument("--id", help="a UUID; a new one if it is not given")
    verb.add_argument("--runtime", type=_text, default="langgraph", help="`external` for a remote agent")
    verb.add_argument("--status", default="offline", choices=STATUSES)
    verb.set_defaults(run=verbs.add)

    verb = these.add_parser("list", parents=[common], help="like status")
    verb.set_defaults(run=verbs.show)

    for name, run, about in (
        ("pause", verbs.pause, "leave it alone until it is resumed"),
        ("resume", verbs.resume, "watch it again: offline, until it is seen"),
        ("remove", verbs.remove, "it and its descendants; containers are not touched"),
    ):
        verb = these.add_parser(name, parents=[common], help=about)
        verb.add_argument("id")
        verb.set_defaults(run=run)

    token = commands.add_parser("token", help="the tokens with which a workspace's agent calls the api")
    these = token.add_subparsers(required=True, metavar="VERB")
    for name, run, about in (
        ("issue", token_verbs.issue, "one more; it is shown this once"),
        ("list", token_verbs.show, "the live ones, of each its beginning"),
        ("revoke", token_verbs.revoke, "one of them"),
        ("reset", token_verbs.reset, "revoke all, and let one register in without, within 10 minutes"),
    ):
        verb = these.add_parser(name, parents=[common], help=about)
        verb.add_argument("id", help="the workspace")
        if name == "revoke":
            verb.add_argument("token_id", help="the ID that `token list` shows")
        verb.set_defaults(run=run)

    plugin = commands.add_parser("plugin", help="what is recorded of deliveries")
    these = plugin.add_subparsers(required=True, metavar="VERB")
    verb = these.add_parser("forget", parents=[common], help="drop the record of a pull or an install")
    verb.add_argument("id", help="the workspace")
    verb.add_argument("name", type=_text, help="the plugin")
    verb.set_defaults(run=plugin_verbs.forget)
    return command


def _add_questions(add: Callable[..., argparse.ArgumentParser], common: argparse.ArgumentParser) -> None:
    """The verbs that only look."""
    verb = add("status", parents=[common], help="the workspaces and why they are what they are")
    verb.add_argument("--watch", action="store_true", help="again every second, until Ctrl-C")
    verb.set_defaults(run=verbs.show)

    verb = add("why", parents=[common], help="why a workspace is what it is, and what it needs")
    verb.add_argument("workspace", type=_text, help="its id or name, or how one of them begins")
    verb.set_defaults(run=why)

    verb = add("doctor", parents=[common], help="look at everything here, and say what mends it")
    verb.set_defaults(run=doctor)

    # It has options of its own, and is not even asked for settings: see main.
    add("triage", add_help=False, help="what happened, to whom and whose fault, from the log")


def _text(argument: str) -> str:
    """Refuses bytes that are no text: they reach a program as lone surrogates, which nothing can store."""
    try:
        argument.encode()
    except UnicodeEncodeError as exc:
        raise argparse.ArgumentTypeError("is no UTF-8") from exc
    return argument


def main() -> int:
    """The exit status: 0, 1 with a sentence on standard error, 2 for bad usage.

    78 is for what starting again does not help against: bad settings, a schema of a newer version.
    """
    if sys.argv[1:2] == ["triage"]:
        return triage(sys.argv[2:])
    options = parser().parse_args()
    try:
        return _run(options)
    except ROW_REFUSED as exc:
        print(f"healthsweep: the database does not take this: {exc.args[0]}", file=sys.stderr)  # noqa: T201
        return 1
    except DatabaseUnavailable as exc:
        print(f"healthsweep: the database cannot be used: {exc}", file=sys.stderr)  # noqa: T201
        return 1
    except (HealthsweepError, OSError) as exc:
        print(f"healthsweep: {exc}", file=sys.stderr)  # noqa: T201
        return EX_CONFIG if isinstance(exc, SettingsError | SchemaNewer) else 1
    except KeyboardInterrupt:
        return 130
    finally:
        logs.let_go(sys.stdout)


def _run(options: argparse.Namespace) -> int:
    if options.run == doctor:  # it has to say what is wrong with settings that no other verb can use
        return doctor(options)
    settings = Settings.load(environment(os.environ))
    logs.configure("command", level=settings.log_level, form=settings.log_format, stream=sys.stderr)
    asyncio.run(options.run(options, settings))
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
