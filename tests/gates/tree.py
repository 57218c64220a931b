"""A copy of the project's source, to break on purpose: whatever a gate refuses is planted in a copy."""

import shutil
from pathlib import Path

from tests.support.processes import CHECKOUT

_NOT_SOURCE = shutil.ignore_patterns("__pycache__", ".*")


def packages(root: Path) -> list[str]:
    """The top-level packages of the tree at `root`; the tests are none of the product's."""
    return sorted(path.parent.name for path in root.glob("*/__init__.py") if path.parent.name != "tests")


def copy_tree(to: Path, *, only: tuple[str, ...] | None = None, tests: bool = False) -> Path:
    """Copy the product's packages, or `only` those, pyproject.toml and, if wanted, the `tests` to `to`."""
    to.mkdir(parents=True)
    for package in (*(packages(CHECKOUT) if only is None else only), *(["tests"] if tests else [])):
        shutil.copytree(CHECKOUT / package, to / package, ignore=_NOT_SOURCE)
    shutil.copy(CHECKOUT / "pyproject.toml", to)
    return to


def plant(root: Path, file: str, text: str) -> None:
    """Append `text` to `file` of the copy at `root`; a file that is missing is made, its package too."""
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "__init__.py").touch()
    with path.open("a") as source:
        source.write(f"\n{text}\n")
