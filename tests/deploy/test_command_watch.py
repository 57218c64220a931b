"""`healthsweep status --watch` on a terminal, while the database comes and goes."""

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.children import tied
from tests.deploy.operator import Operator
from tests.support.postgres import PostgresServer
from tests.support.processes import CHECKOUT, service_environment

pytestmark = pytest.mark.usefixtures("processes")

_HEARS_CTRL_C = ("env", "--default-signal=INT")
"""A shell's background job, and so all that it starts, would ignore it."""

_WATCH = ("-m", "deploy.command", "status", "--watch")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """What a process draws on a screen of 160 columns."""

    def __init__(self, process: asyncio.subprocess.Process, terminal: int) -> None:
        self.process = process
        self.drawn = ""
        self._terminal = terminal

    def read(self) -> None:
        try:
            self.drawn += os.read(self._terminal, 1 << 16).decode(errors="replace")
        except OSError:  # the other end is closed: the process has ended
            asyncio.get_running_loop().remove_reader(self._terminal)

    async def shows(self, pattern: str, *, after: int = 0) -> int:
        """Wait until it does; the length of all that is drawn by then."""
        async with asyncio.timeout(20):
            while not re.search(pattern, ESCAPE.sub("", self.drawn[after:])):
                assert self.process.returncode is None, self.drawn
                await asyncio.sleep(0.02)
        return len(self.drawn)


@asynccontextmanager
async def watching(operator: Operator) -> AsyncIterator[Terminal]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    process = await asyncio.create_subprocess_exec(
        *tied([*_HEARS_CTRL_C, sys.executable, *_WATCH], death_signal="KILL"),
        cwd=CHECKOUT,
        env=service_environment({"TERM": "xterm-256color", **operator.environment}),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    terminal = Terminal(process, master)
    asyncio.get_running_loop().add_reader(master, terminal.read)
    try:
        yield terminal
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        asyncio.get_running_loop().remove_reader(master)
        os.close(master)


async def test_it_draws_survives_a_restart_of_the_database_and_ends_on_ctrl_c(
    private_postgres: PostgresServer, tmp_path: Path
) -> None:
    url = await private_postgres.create_migrated_database()
    operator = Operator(tmp_path, DATABASE_URL=url)
    row = await operator.json("workspace", "add", "reviewer")
    async with watching(operator) as terminal:
        here = await terminal.shows(rf"reviewer\s+offline\s+created .*{row['id']}")
        await operator.does("workspace", "remove", row["id"])
        await operator.does("workspace", "add", "writer")
        here = await terminal.shows(r"writer\s+offline", after=here)
        await private_postgres.stop()
        here = await terminal.shows("the database is away: ", after=here)
        await private_postgres.start()
        await terminal.shows(r"writer\s+offline", after=here)
        terminal.process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(terminal.process.wait(), 5) == 130
        await asyncio.sleep(0.05)
        assert "\x1b[?1049l" in terminal.drawn  # the screen that was there before is back
        assert "\x1b[?25h" in terminal.drawn  # and so is the cursor
        assert "Traceback" not in terminal.drawn


async def test_it_may_begin_before_the_database_does(tmp_path: Path) -> None:
    operator = Operator(tmp_path, DATABASE_URL="postgresql:///db?host=/nowhere")
    async with watching(operator) as terminal:
        await terminal.shows("the database is away: No such file or directory")
