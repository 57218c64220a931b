"""`python3 -m deploy.host`, where `bash deploy/install` ends: as root, with Debian's own Python."""

import argparse
import importlib.util
import os
import sys
import time
from pathlib import Path

from deploy.host import configuration, database, layout, release, services
from deploy.host.release import Release
from deploy.host.removal import uninstall
from deploy.host.steps import Step, StepFailed, carry_out, must, run
from shared.errors import HealthsweepError

_CHECKOUT = Path(__file__).resolve().parents[2]


def main() -> int:
    """The exit status: 0, 1 with a sentence on standard error, 2 for bad usage."""
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
    try:
        if options.verb == "uninstall":
            return _uninstall(purge=options.purge, dry_run=options.dry_run)
        chosen = release.installed(options.version) if options.version else release.of_checkout(_CHECKOUT)
        return _install(chosen, dry_run=options.dry_run)
    except (HealthsweepError, OSError) as problem:
        print(f"healthsweep: {problem}", file=sys.stderr)  # noqa: T201
        return 1


def _install(chosen: Release, *, dry_run: bool) -> int:
    began = time.monotonic()
    before = release.current()
    changed = carry_out(_preparation(chosen), dry_run=dry_run)
    try:
        changed += carry_out(services.switch_to(chosen), dry_run=dry_run)
    except (HealthsweepError, OSError) as problem:
        raise StepFailed(_back_to(before, chosen, problem)) from problem
    if dry_run:
        _say(f"nothing was changed; {changed} steps would be done")
    elif changed:
        seconds = time.monotonic() - began
        _say(f"{chosen.name} is ready at {services.address()}, after {seconds:.0f} s")
    else:
        _say(f"nothing to do: {chosen.name} is ready at {services.address()}")
    return 0


def _preparation(chosen: Release) -> list[Step]:
    """The steps that come before anything changes for a version that runs."""
    url = os.environ.get("DATABASE_URL") or _known_url()
    own_server = url == database.PEER_URL
    return [
        _packages(with_server=own_server),
        release.build(chosen),
        services.user(chosen),
        configuration.settings_file(),
        configuration.admin_token(),
        *([database.role(), database.database()] if own_server else []),
        database.migration(chosen, url),
        configuration.database_url(url),  # which is worth remembering by now
    ]


def _known_url() -> str:
    return configuration.variables({}).get("DATABASE_URL", database.PEER_URL)


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


def _back_to(before: Release | None, chosen: Release, problem: Exception) -> str:
    """Run the version again that ran before; the sentence that says what became of it."""
    failed = f"{chosen.name} did not become ready ({problem})"
    if before is None or before == chosen:
        return f"{failed}; when that is mended, run deploy/install again"
    if not database.fits(before, _known_url()):
        return f"{failed}, and {before.name} cannot run on the database that it has migrated: mend the first"
    _say(f"{failed}: going back to {before.name}")
    try:
        carry_out(services.switch_to(before), dry_run=False)
    except (HealthsweepError, OSError) as another:
        return f"{failed}, and {before.name} is not ready either ({another})"
    return f"{failed}; {before.name} runs again"


def _uninstall(*, purge: bool, dry_run: bool) -> int:
    known = configuration.variables({}).get("DATABASE_URL")
    changed = carry_out(uninstall(purge=purge), dry_run=dry_run)
    if dry_run:
        _say(f"nothing was changed; {changed} steps would be done")
        return 0
    _say("healthsweep is not installed" if changed == 0 else "healthsweep was removed")
    if not purge:
        _say(f"settings and data stay: {layout.SETTINGS.parent}, {layout.STATE}, the database")
    elif known and known != database.PEER_URL:
        _say("the database that DATABASE_URL named stays as it is")
    return 0


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
