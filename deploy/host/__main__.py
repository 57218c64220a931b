"""`python3 -m deploy.host`, where `bash deploy/install` ends: as root, with Debian's own Python."""

import argparse
import importlib.util
import os
import signal
import sys
import time
from pathlib import Path

from deploy import layout
from deploy.host import configuration, database, release, services
from deploy.host.release import Release
from deploy.host.removal import kept_database, uninstall
from deploy.host.steps import Step, carry_out, must, run, say
from shared.errors import HealthsweepError

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_INTERRUPTED = 130
_CHECKOUT = Path(__file__).resolve().parents[2]


def main() -> int:
    """The exit status: 0, 1 with a sentence on standard error, 2 for bad usage, 130 if interrupted."""
    parser = argparse.ArgumentParser(
        prog="deploy/install", add_help=False, usage="bash deploy/install --help"
    )
    parser.add_argument("verb", nargs="?", choices=["install", "uninstall"], default="install")
    parser.add_argument("--version")
    parser.add_argument("--purge", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args()
    if (options.purge and options.verb == "install") or (options.version and options.verb == "uninstall"):
        parser.error("--purge goes with uninstall, --version does not")
    os.chdir("/")
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, signal.default_int_handler)
    try:
        if options.verb == "uninstall":
            return _uninstall(purge=options.purge, dry_run=options.dry_run)
        chosen = release.installed(options.version) if options.version else release.of_checkout(_CHECKOUT)
        return _install(chosen, dry_run=options.dry_run)
    except (HealthsweepError, OSError) as problem:
        return _fail(str(problem))
    except KeyboardInterrupt:
        return _fail("it was interrupted: run it again, it goes on where it was", status=_INTERRUPTED)


def _install(chosen: Release, *, dry_run: bool) -> int:
    began = time.monotonic()
    before = release.current()
    before_url = configuration.variables({}).get("DATABASE_URL", database.PEER_URL)
    url = os.environ.get("DATABASE_URL") or before_url
    configuration.refuse_another_url(url)
    changed = carry_out(_preparation(chosen, url), dry_run=dry_run)
    try:
        changed += carry_out(_switch(chosen, url), dry_run=dry_run)
    except BaseException as problem:  # whatever it is, what does not run must not stay
        if dry_run:
            raise
        failed = f"{chosen.name} did not become ready ({_reason(problem)})"
        if before is None or (before.name, before_url) == (chosen.name, url):
            became = "when that is mended, run deploy/install again"
        else:
            became = _back_to(before, before_url, failed)
        status = _INTERRUPTED if isinstance(problem, KeyboardInterrupt) else 1
        return _fail(f"{failed}; {became}", status=status)
    if dry_run:
        say(f"nothing was changed; {changed} steps would be done")
    elif changed:
        seconds = time.monotonic() - began
        say(f"{chosen.name} is ready at {services.address()}, after {seconds:.0f} s")
    else:
        say(f"nothing to do: {chosen.name} is ready at {services.address()}")
    return 0


def _preparation(chosen: Release, url: str) -> list[Step]:
    """The steps that come before anything changes for a version that runs."""
    own_server = url == database.PEER_URL
    return [
        _packages(with_server=own_server),
        release.build(chosen),
        services.user(chosen),
        configuration.settings_file(),
        configuration.admin_token(),
        *([database.role(), database.database()] if own_server else []),
        database.migration(chosen, url),
    ]


def _switch(to: Release, url: str) -> list[Step]:
    """The steps to a version on a database, and back to the one before on its own."""
    return [configuration.database_url(url), *services.switch_to(to)]


def _packages(*, with_server: bool) -> Step:
    """The step that installs what is missing of Debian's packages; one that is there is left as it is."""
    missing = [] if importlib.util.find_spec("ensurepip") else ["python3-venv"]
    for name in ("ca-certificates", "git"):  # git fetches github:// plugins
        if run("dpkg-query", "--show", "--showformat=${db:Status-Status}", name).stdout != "installed":
            missing.append(name)
    if with_server and not database.is_listening():
        missing.append("postgresql")

    def install() -> None:
        # Nothing that runs on this host is to be started anew for the sake of a new library.
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}
        apt = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300")
        must(*apt, "update", environ=environ)
        must(*apt, "install", "-y", "--no-install-recommends", *missing, environ=environ)

    names = " ".join(missing) or "that it needs"
    return Step(f"install the Debian packages {names}", do=install, is_done=lambda: not missing)


def _back_to(before: Release, url: str, failed: str) -> str:
    """Run the version again that ran before, on its database; what became of that."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)  # half of the way back would be an outage
    if refusal := database.refusal(before, url):
        return f"{before.name} would not start either ({refusal}): mend the first"
    say(f"{failed}: going back to {before.name}")
    try:
        carry_out(_switch(before, url), dry_run=False)
    except Exception as another:  # noqa: BLE001 - it is said, and there is no third version to try
        return f"{before.name} is not ready either ({_reason(another)})"
    return f"{before.name} runs again"


def _reason(problem: BaseException) -> str:
    if isinstance(problem, KeyboardInterrupt):
        return "it was interrupted"
    is_sentence = isinstance(problem, HealthsweepError | OSError)
    return str(problem) if is_sentence else f"{type(problem).__name__}: {problem}"


def _uninstall(*, purge: bool, dry_run: bool) -> int:
    kept = kept_database() if purge else ""
    changed = carry_out(uninstall(purge=purge), dry_run=dry_run)
    if dry_run:
        say(f"nothing was changed; {changed} steps would be done")
        return 0
    say("healthsweep is not installed" if changed == 0 else "healthsweep was removed")
    if not purge:
        say(f"settings and data stay: {layout.SETTINGS.parent}, {layout.STATE}, the database")
    elif kept:
        say(f"{kept} stays as it is")
    return 0


def _fail(sentence: str, *, status: int = 1) -> int:
    say(f"healthsweep: {sentence}", to=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
