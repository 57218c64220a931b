"""The database of a host: the one that DATABASE_URL names, or one in Debian's PostgreSQL, by peer login."""

from pathlib import Path

from deploy import layout
from deploy.host.configuration import variables
from deploy.host.release import Release
from deploy.host.steps import Step, StepFailed, must, run, succeeds

PEER_URL = f"postgresql://{layout.USER}@/{layout.USER}?host=/var/run/postgresql"
"""No password: PostgreSQL asks the kernel who is at the other end of its socket."""

_EX_CONFIG = 78  # a schema of a newer version, or settings that it does not take
_SOCKET = Path("/var/run/postgresql/.s.PGSQL.5432")
_OURS = "made by deploy/install"
_PATIENCE = 3600.0  # a migration of a large table


def is_listening() -> bool:
    """Whether there is a PostgreSQL on this host, whoever installed it."""
    return _SOCKET.is_socket()


def role() -> Step:
    """The step that makes our role in it."""
    return Step(
        f"create the PostgreSQL role {layout.USER}, without a password",
        do=lambda: _sql(f"CREATE ROLE {layout.USER} LOGIN"),
        is_done=lambda: _exists(f"pg_roles WHERE rolname = '{layout.USER}'"),
    )


def database() -> Step:
    """The step that makes our database in it, and leaves a sign there that we did."""

    def create() -> None:
        _sql(f"CREATE DATABASE {layout.USER} OWNER {layout.USER}")
        _sql(f"COMMENT ON DATABASE {layout.USER} IS '{_OURS}'")

    return Step(
        f"create the database {layout.USER}",
        do=create,
        is_done=lambda: _exists(f"pg_database WHERE datname = '{layout.USER}'"),
    )


def was_there_before() -> bool:
    """Whether the database is one that `database` did not make: nobody but its owner may drop it."""
    sign = "coalesce(shobj_description(oid, 'pg_database'), '')"
    return _exists(f"pg_database WHERE datname = '{layout.USER}' AND {sign} <> '{_OURS}'")


def removal() -> Step:
    """The step that removes what `role` and `database` make, with all that is in it."""

    def drop() -> None:
        _sql(f"DROP DATABASE IF EXISTS {layout.USER} WITH (FORCE)")
        _sql(f"DROP ROLE {layout.USER}")

    return Step(
        f"drop the database {layout.USER} and the role {layout.USER}",
        do=drop,
        is_done=lambda: not _exists(f"pg_roles WHERE rolname = '{layout.USER}'"),
    )


def migration(release: Release, url: str) -> Step:
    """The step that brings the schema at `url` to that version's. Nobody else migrates on a host."""
    return Step(
        "migrate the database",
        do=lambda: _migrate(release, url),
        is_done=lambda: fits(release, url),
    )


def fits(release: Release, url: str) -> bool:
    """Whether the schema at `url` is the one that this version needs."""
    return release.python.exists() and succeeds(*_command(release, "status"), environ=_environ(url))


def refusal(release: Release, url: str) -> str:
    """Why that version would not start on the database at `url`, however often it is tried; empty if it may.

    An answer that never came, from a database that is away or slow, is no reason.
    """
    ended = run(*_command(release, "status"), environ=_environ(url))
    if ended.returncode != _EX_CONFIG:
        return ""
    return (ended.stderr.splitlines() or ["it does not say why"])[-1].removeprefix("healthsweep: ")


def _migrate(release: Release, url: str) -> None:
    called = "healthsweep migrate"
    must(*_command(release, "migrate"), environ=_environ(url), seconds=_PATIENCE, called=called)


def _command(release: Release, verb: str) -> list[str]:
    """`healthsweep` of that version, as the services' user: peer login knows nobody else."""
    user = ["setpriv", f"--reuid={layout.USER}", f"--regid={layout.USER}", "--init-groups", "--"]
    return [*user, str(release.python), "-P", "-m", "deploy.command", verb]


def _environ(url: str) -> dict[str, str]:
    given = {"PATH": "/usr/bin:/bin", "HOME": str(layout.STATE), "LOG_LEVEL": "warning"}
    return variables({**given, "DATABASE_URL": url})


def _exists(what: str) -> bool:
    return is_listening() and _sql(f"SELECT true FROM {what}").strip() == "t"  # noqa: S608 - of this file


def _sql(statement: str) -> str:
    """What PostgreSQL's administrator gets as an answer."""
    if not is_listening():
        raise StepFailed("PostgreSQL does not listen in /var/run/postgresql: start it, or set DATABASE_URL")
    psql = ("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
    user = ("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups")
    return must(*user, *psql, "-c", statement, called="psql")
