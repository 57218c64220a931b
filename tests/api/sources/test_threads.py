"""Work in threads: nobody waits longer than it takes, and nobody is gone before it has ended."""

import asyncio
import threading
import time

import pytest

from api.sources.base import in_thread


async def test_what_the_work_answers_or_raises() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    assert await in_thread(lambda: 1, cancel=fail) == 1
    with pytest.raises(ZeroDivisionError):
        await in_thread(fail, cancel=fail)


async def test_when_cancelled_it_is_told_and_waited_for() -> None:
    told, ended = threading.Event(), threading.Event()

    def work() -> None:
        told.wait(5)
        time.sleep(0.1)
        ended.set()
        raise ZeroDivisionError

    task = asyncio.create_task(in_thread(work, cancel=told.set))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
