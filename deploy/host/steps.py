"""An installation is a list of steps. The same list is printed by --dry-run, and is done in earnest."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from shared.errors import HealthsweepError


class StepFailed(HealthsweepError):
    """A step could not be done; the text is a sentence that says what is in the way."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change of this host: what it says, whether it is there already, and how it is made.

    `is_done` changes nothing, and can be asked while no earlier step has been done. A step without it is a
    check: it changes nothing, and is done each time.
    """

    says: str
    do: Callable[[], object]
    is_done: Callable[[], bool] | None


def carry_out(steps: Sequence[Step], *, dry_run: bool) -> int:
    """Do what is not done yet, in order; how many steps that were, or would be. Raises StepFailed."""
    changed = 0
    for step in steps:
        if step.is_done is not None:
            if step.is_done():
                say(f"  done   {step.says}")
                continue
            changed += 1
        say(f"  {'would' if dry_run else 'now':5}  {step.says}")
        if not dry_run:
            step.do()
    return changed


def say(text: str, *, to: TextIO | None = None) -> None:
    """Print a line, if anybody reads: a terminal that is gone must not end what was begun."""
    with contextlib.suppress(OSError):
        print(text, file=to, flush=True)


def run(
    *command: str | Path, environ: Mapping[str, str] | None = None, seconds: float = 900.0
) -> subprocess.CompletedProcess[str]:
    """What became of `command`, run in / with our environment, or with `environ` and nothing else."""
    arguments = [os.fspath(word) for word in command]
    try:
        return subprocess.run(
            arguments,
            cwd="/",
            env=dict(os.environ if environ is None else environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(arguments, 124, "", f"it did not end within {seconds:.0f} s")
    except OSError as problem:
        return subprocess.CompletedProcess(arguments, 127, "", problem.strerror or str(problem))


def succeeds(*command: str | Path, environ: Mapping[str, str] | None = None) -> bool:
    """Whether `command` ends well."""
    return run(*command, environ=environ).returncode == 0


def must(
    *command: str | Path, environ: Mapping[str, str] | None = None, seconds: float = 900.0, called: str = ""
) -> str:
    """What `command` prints. Raises StepFailed with the end of what it says where it fails.

    There it is `called` so, if its first word is only what starts it.
    """
    ended = run(*command, environ=environ, seconds=seconds)
    if ended.returncode != 0:
        said = (ended.stderr.strip() or ended.stdout.strip()).splitlines()[-3:]
        name = called or Path(command[0]).name
        raise StepFailed(f"{name} failed ({ended.returncode}): {' '.join(said)}")
    return ended.stdout


def content(path: Path) -> bytes | None:
    """Of a file; None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def write(path: Path, text: str | bytes, *, mode: int, group: int = 0) -> None:
    """Replace `path` in one step; nobody ever reads half of it, or more than `mode` admits."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.encode() if isinstance(text, str) else text)
        os.fchown(file.fileno(), 0, group)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def point(link: Path, target: Path) -> None:
    """Make `link` a symbolic link to `target`, in one step."""
    unfinished = link.with_name(f".{link.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(target)
    unfinished.replace(link)


def points(link: Path, target: Path) -> bool:
    """Whether `link` is a symbolic link to `target`."""
    return link.is_symlink() and link.readlink() == target
