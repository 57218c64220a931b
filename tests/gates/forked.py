"""Runs pytest again and again, each time in a process of its own, with the libraries imported already.

A program for tests.gates.mutants: to import the libraries takes twice as long as the test that is wanted.
Each line on standard input is a JSON array: the file for what pytest prints, then pytest's arguments. The
answer is the exit status. Nothing of the tree itself is imported before the fork.
"""

import importlib
import json
import os
import sys
from pathlib import Path

import pytest

LIBRARIES = (
    *("aiodocker", "aiohttp.web", "asyncpg", "openapi_schema_validator", "prometheus_client"),
    *("pytest_asyncio.plugin", "structlog", "yaml"),
)


def main() -> None:
    for library in LIBRARIES:
        importlib.import_module(library)
    for line in sys.stdin:
        output, *arguments = json.loads(line)
        pid = os.fork()
        if pid == 0:
            with Path(output).open("wb") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            status = 70  # should pytest itself not end well
            try:
                status = int(pytest.main(arguments))
            finally:
                sys.stdout.flush()
                os._exit(status)
        _, ended = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(ended), flush=True)


if __name__ == "__main__":
    main()
