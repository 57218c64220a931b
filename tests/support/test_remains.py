"""Nothing stays behind, however the tests end."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.processes import CHECKOUT
from tests.support.remains import belonging, living

pytestmark = pytest.mark.usefixtures("processes")

KILLED = """
import asyncio, sys
from tests.support.engine import DockerEngine
from tests.support.postgres import PostgresServer
from tests.support.remains import private_directory

async def main(directory):
    async with DockerEngine(directory / "docker") as engine, PostgresServer(directory / "postgres"):
        await engine.container("ws-a", state="paused")
        await engine.container("ws-b", state="dead")
        engine.pause()
        print(directory, flush=True)
        await asyncio.sleep(600)

with private_directory() as directory:
    asyncio.run(main(directory))
"""


async def test_nothing_outlives_tests_that_were_killed() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    directory = Path((await process.stdout.readline()).decode().strip())
    assert belonging(directory)
    os.kill(process.pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        while directory.exists() or belonging(directory):
            await asyncio.sleep(0.1)
        await process.wait()
    assert str(directory) not in Path("/proc/self/mountinfo").read_text()
    assert process.pid not in living()
