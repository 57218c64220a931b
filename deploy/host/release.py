"""A version on a host: a directory with the packages, docs/ beside them, and a .venv of its own.

Its name is the version and what its files come down to, so the same files are always the same version.
"""

import hashlib
import os
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy import layout
from deploy.host.steps import Step, StepFailed, content, must, write
from shared import __version__

_PACKAGES = ("api", "deploy", "shared", "sweeper")
_SHIPPED = (*_PACKAGES, "docs", "LICENSE")
_OF_A_CHECKOUT = ("deploy/run", "deploy/test")
_REQUIREMENTS = "requirements.txt"
_COMPLETE = ".complete"


@dataclass(frozen=True, slots=True)
class Release:
    """`tree` is where its files can be read now: a checkout, or `place` itself once it is installed."""

    name: str
    tree: Path

    @property
    def place(self) -> Path:
        return layout.VERSIONS / self.name

    @property
    def python(self) -> Path:
        return self.place / ".venv" / "bin" / "python"

    @property
    def systemd(self) -> Path:
        """Its units."""
        return self.tree / "deploy" / "systemd"


def of_checkout(checkout: Path) -> Release:
    """What is to be installed from `checkout`. Raises StepFailed where it is none."""
    if not (checkout / "pyproject.toml").exists():
        raise StepFailed(f"{checkout} is no checkout: run deploy/install of one, or say --version X")
    sums = hashlib.sha256(repr(_requirements(checkout)).encode())
    for path in _files(checkout):
        kind = "x" if _is_program(path) else "-"
        sums.update(f"{path.relative_to(checkout)} {kind} {path.stat().st_size}\n".encode())
        sums.update(path.read_bytes())
    return Release(f"{__version__}+{sums.hexdigest()[:8]}", checkout)


def installed(name: str) -> Release:
    """The installed version of that name. Raises StepFailed where there is none."""
    known = sorted(path.parent.name for path in layout.VERSIONS.glob(f"*/{_COMPLETE}"))
    if name not in known:
        raise StepFailed(f"no version {name} is installed here; there is {', '.join(known) or 'none'}")
    return Release(name, layout.VERSIONS / name)


def current() -> Release | None:
    """The version that the host runs, or is to run; None on a new host."""
    if not layout.CURRENT.is_symlink():
        return None
    place = layout.CURRENT.resolve()
    return Release(place.name, place)


def build(release: Release) -> Step:
    """The step that makes its directory."""
    # Where Debian's Python became another one, an old environment no longer runs: it is made again.
    # A security update of the same Python changes nothing for it.
    stamp = "Python {}.{}\n".format(*sys.version_info[:2]).encode()
    return Step(
        f"build {release.place}, with its own Python environment",
        do=lambda: _build(release, stamp),
        is_done=lambda: content(release.place / _COMPLETE) == stamp,
    )


def _build(release: Release, stamp: bytes) -> None:
    """Make it beside what is there, and exchange the two once it is complete: services may run of it."""
    unfinished, replaced = layout.PROGRAMS / "unfinished", layout.PROGRAMS / "replaced"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        _copy(release.tree, unfinished)
        _add_environment(unfinished, release.place)
        write(unfinished / _COMPLETE, stamp, mode=0o644)
        layout.VERSIONS.mkdir(exist_ok=True)
        if release.place.exists():
            shutil.rmtree(replaced, ignore_errors=True)
            release.place.rename(replaced)
        unfinished.rename(release.place)
    finally:
        if replaced.exists() and not release.place.exists():  # interrupted between the two
            replaced.rename(release.place)
        for left in (unfinished, replaced):
            shutil.rmtree(left, ignore_errors=True)


def _copy(tree: Path, to: Path) -> None:
    for path in _files(tree):
        copy = to / path.relative_to(tree)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o755 if _is_program(path) else 0o644)
    known = content(tree / _REQUIREMENTS)  # of an installed version
    write(to / _REQUIREMENTS, known or "\n".join([*_requirements(tree), ""]), mode=0o644)


def _add_environment(tree: Path, place: Path) -> None:
    """Give `tree` a .venv that is right at `place`: of its programs only `python` may be moved."""
    python = tree / ".venv" / "bin" / "python"
    must(sys.executable, "-m", "venv", tree / ".venv")
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    must(*pip, "--constraint", tree / "deploy" / "constraints.txt", "--requirement", tree / _REQUIREMENTS)
    (site,) = (tree / ".venv" / "lib").glob("python3*/site-packages")
    write(site / "healthsweep.pth", f"{place}\n", mode=0o644)
    must(python, "-m", "compileall", "-q", *(tree / package for package in _PACKAGES))


def _requirements(tree: Path) -> list[str]:
    project = tomllib.loads((tree / "pyproject.toml").read_text())["project"]
    dependencies: list[str] = project["dependencies"]
    return dependencies


def _files(tree: Path) -> Iterator[Path]:
    """What a host gets of it, in a fixed order."""
    for name in _SHIPPED:
        below = sorted((tree / name).rglob("*")) if (tree / name).is_dir() else [tree / name]
        for path in below:
            relative = path.relative_to(tree)
            hidden = any(part.startswith((".", "__pycache__")) for part in relative.parts)
            if path.is_file() and not hidden and str(relative) not in _OF_A_CHECKOUT:
                yield path


def _is_program(path: Path) -> bool:
    return os.access(path, os.X_OK)
