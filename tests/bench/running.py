"""Benchmarks, as their users run them: in a process of their own no test and no coverage is measured."""

import asyncio
import os
import sys
from pathlib import Path
from shutil import copy

from deploy.children import tied
from tests.bench.page import PAGE
from tests.support.processes import CHECKOUT

DOCS = CHECKOUT / "docs"


async def run_benchmark(name: str, docs: Path, *arguments: str) -> None:
    """`python -m tests.bench.NAME arguments...`, which writes to `docs` instead of the real ones."""
    (docs / "benchmarks").mkdir()
    copy(DOCS / PAGE, docs / PAGE)
    module = [sys.executable, "-m", f"tests.bench.{name}", "--docs", str(docs), *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE_")}
    process = await asyncio.create_subprocess_exec(*tied(module), cwd=CHECKOUT, env=environment)
    assert await process.wait() == 0
