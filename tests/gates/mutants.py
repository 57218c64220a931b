"""Mutants: one wrong line each, and the named test that must turn red because of it.

A mutant is planted in a copy of the tree, tests included, and the one test runs there in a process of its
own. It reuses this run's PostgreSQL: see tests.gates.handed_down.
"""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from tests.gates.handed_down import SERVER, TEMPLATE
from tests.gates.tree import copy_tree

_FIXTURES = "from tests.gates.handed_down import migrated_database, postgres  # noqa: F811"
_PYTEST = (
    *("-q", "-x", "--tb=line", "--timeout=60"),
    *("-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin", "-p", "pytest_timeout"),
)


class Mutant(NamedTuple):
    """`text` of `file`, which occurs once, becomes `instead`, and `test` fails."""

    name: str
    file: str
    text: str
    instead: str
    test: str

    def problem(self, root: Path) -> str | None:
        """Why this mutant cannot be planted in the tree at `root`, if it cannot."""
        found = (root / self.file).read_text().count(self.text)
        if found == 1:
            return None
        return f"{self.name}: its text occurs {found} times in {self.file}: update the mutant\n{self.text}"


class Workbench:
    """A copy of the tree at `root`, whose tests use the PostgreSQL at `url`; one run at a time."""

    def __init__(self, root: Path, *, url: str, template: str) -> None:
        self._root = copy_tree(root, tests=True)
        with (root / "tests" / "conftest.py").open("a") as fixtures:
            fixtures.write(f"\n{_FIXTURES}\n")
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            SERVER: url,
            TEMPLATE: template,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "INTERLEAVINGS_SEED": "1",
        }
        self._written = 0

    async def __aenter__(self) -> Self:
        self._runner = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.gates.forked"),
            cwd=self._root,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._runner.pid, signal.SIGKILL)
        await self._runner.wait()

    async def run(self, tests: Iterable[str]) -> tuple[Mapping[str, int], str]:
        """How many of the tests passed, failed or ended in an error, and what pytest says."""
        assert self._runner.stdin is not None
        assert self._runner.stdout is not None
        output = self._root / "output"
        self._runner.stdin.write(json.dumps([str(output), *_PYTEST, *tests]).encode() + b"\n")
        await self._runner.stdin.drain()
        if not await self._runner.stdout.readline():
            raise RuntimeError("tests.gates.forked has ended")
        said = output.read_text(errors="replace")
        counted = re.findall(r"(\d+) (passed|failed|error)", said.splitlines()[-1] if said else "")
        return {word: int(number) for number, word in counted}, said

    async def survives(self, mutant: Mutant) -> str | None:
        """What is wrong with the mutant's test, if it does not fail as it should."""
        if (problem := mutant.problem(self._root)) is not None:
            return problem
        path = self._root / mutant.file
        healthy = path.read_text()
        self._write(path, healthy.replace(mutant.text, mutant.instead))
        counted, said = await self.run([mutant.test])
        self._write(path, healthy)
        if counted.get("failed") and not counted.get("error"):
            return None
        return f"{mutant.name}: {mutant.test} does not fail: {counted or said[-500:]}"

    def _write(self, path: Path, text: str) -> None:
        """With a time of its own: Python tells by time and size whether its bytecode is of this text."""
        self._written += 1
        path.write_text(text)
        os.utime(path, (self._written, self._written))
