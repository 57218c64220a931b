"""Somebody at a terminal, who runs `healthsweep` as a host has it and reads what it prints."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import asyncpg

from tests.support.processes import Ended, run_command

Verb = tuple[str, ...]

ROW_KEYS = ["id", "name", "runtime", "status", "status_reason", "status_changed_at", "last_heartbeat_at"]
NOBODY = "00000000-0000-4000-8000-000000000000"
"""An id that no workspace has."""


class Operator:
    """`home` is the HEALTHSWEEP_HOME; `environment` is what is set beside it."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.environment: Mapping[str, str] = {"HEALTHSWEEP_HOME": str(home), **environment}

    async def run(self, *arguments: str, **environment: str) -> Ended:
        """However it ends, there is no traceback, neither as text nor as a line of the log."""
        ended = await run_command(*arguments, environment={**self.environment, **environment})
        assert "Traceback" not in ended.stderr
        assert "process.crashed" not in ended.stderr
        return ended

    async def does(self, *arguments: str, **environment: str) -> Ended:
        """It goes well, and nothing but its log is on standard error."""
        ended = await self.run(*arguments, **environment)
        assert ended.status == 0, ended.stderr
        assert all("event" in json.loads(line) for line in ended.stderr.splitlines())
        return ended

    async def json(self, *arguments: str, **environment: str) -> Any:
        """The one document that it prints."""
        return (await self.does(*arguments, "--json", **environment)).json

    async def refused(self, *arguments: str, status: int = 1, **environment: str) -> str:
        """The one sentence on standard error, with nothing on standard output."""
        ended = await self.run(*arguments, **environment)
        assert (ended.status, ended.stdout) == (status, ""), ended
        (line,) = ended.stderr.splitlines()
        program, _, sentence = line.partition(": ")
        assert program == "healthsweep"
        assert sentence
        return sentence

    async def all_refused(self, verbs: Iterable[Verb], *, status: int = 1) -> dict[Verb, str]:
        """Of each its one sentence; they run two at a time."""
        two = asyncio.Semaphore(2)

        async def refused(verb: Verb) -> tuple[Verb, str]:
            async with two:
                return verb, await self.refused(*verb, status=status)

        return dict(await asyncio.gather(*map(refused, verbs)))


async def history(connection: asyncpg.Connection, workspace_id: str) -> list[tuple[object, ...]]:
    """From, to, reason and who, the oldest first."""
    rows = await connection.fetch(
        """
        SELECT from_status, to_status, reason, detected_by FROM healthsweep.history
        WHERE workspace_id::text = $1 ORDER BY id
        """,
        workspace_id,
    )
    return [tuple(row) for row in rows]
