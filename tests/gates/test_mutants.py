"""A test that no mistake turns red proves nothing: here each mistake is made, and its test must see it."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.gates.mutants import Workbench
from tests.gates.mutants_api import API
from tests.gates.mutants_command import COMMAND
from tests.gates.mutants_door import DOOR
from tests.gates.mutants_rows import ROWS
from tests.gates.mutants_sweep import SWEEP
from tests.gates.mutants_table import TABLE
from tests.support.postgres import PostgresServer
from tests.support.processes import CHECKOUT

MUTANTS = (*TABLE, *DOOR, *SWEEP, *ROWS, *API, *COMMAND)
AT_ONCE = 3


def test_every_mutant_fits() -> None:
    """Its text occurs once in its file: whoever changes that line changes the mutant with it."""
    problems = [problem for mutant in MUTANTS if (problem := mutant.problem(CHECKOUT)) is not None]
    assert not problems, "\n\n".join(problems)
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.timeout(600)
async def test_every_mutant_is_killed(
    postgres: PostgresServer, migrated_database: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as opened:
        benches = [
            await opened.enter_async_context(
                Workbench(tmp_path / str(number), url=postgres.url, template=migrated_database)
            )
            for number in range(AT_ONCE)
        ]
        tests = sorted({mutant.test for mutant in MUTANTS})
        shares = [bench.run(tests[number::AT_ONCE]) for number, bench in enumerate(benches)]
        for counted, said in await asyncio.gather(*shares):
            assert set(counted) == {"passed"}, f"without a mutant all of its tests pass:\n{said[-3000:]}"

        waiting = iter(MUTANTS)  # each bench takes the next one
        survivors: list[str] = []

        async def work(bench: Workbench) -> None:
            for mutant in waiting:
                if (problem := await bench.survives(mutant)) is not None:
                    survivors.append(problem)

        await asyncio.gather(*map(work, benches))
    assert not survivors, "these mistakes are seen by nobody:\n" + "\n".join(survivors)
