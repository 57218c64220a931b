"""`python -m deploy.supervisor`, where `bash deploy/run` ends: the whole product in the foreground.

It starts PostgreSQL, migrates, starts the services and prints one line when all are ready. The first SIGINT
or SIGTERM stops them in the opposite order, the second kills them. Exit status: 0 after a signal, 78 where a
setting is refused, 1 where something else is in the way.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from deploy.children import Child, Program, say
from deploy.home import lock_home, wait_for_last_run, write_environment
from deploy.plan import PRODUCT, plan
from shared.errors import HealthsweepError, SettingsError
from shared.process import EX_CONFIG
from shared.settings import Settings


class Supervisor:
    """Starts programs one after the other, keeps them running, and stops them in the opposite order.

    All get `environ` and the file descriptors `inherited`.
    """

    def __init__(self, environ: Mapping[str, str], *, inherited: Sequence[int] = ()) -> None:
        self._environ = environ
        self._inherited = inherited
        self._children: list[Child] = []
        self._keepers: list[asyncio.Task[int]] = []
        self._stopping = asyncio.Event()

    async def run(
        self, programs: Sequence[Program], *, announce: str, afterwards: Sequence[Program] = ()
    ) -> int:
        """Run `programs`, say `announce` when all are ready, run `afterwards`; answers the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        try:
            for program in programs:
                if (status := await self._start(program)) is not None:
                    return status
            say(announce)
            for program in afterwards:
                if (status := await self._start(program)) is not None:
                    return status
            return await self._until(self._stopping) or 0
        finally:
            for child in reversed(self._children):
                await child.stop()
            await asyncio.gather(*self._keepers, return_exceptions=True)

    async def _start(self, program: Program) -> int | None:
        child = Child(program, self._environ, inherited=self._inherited)
        self._children.append(child)
        self._keepers.append(asyncio.create_task(child.keep()))
        return await self._until(child.ready)

    async def _until(self, event: asyncio.Event) -> int | None:
        """Wait for `event`; answers the exit status if there is a reason to leave instead."""
        waiting = [asyncio.create_task(each.wait()) for each in (event, self._stopping)]
        try:
            await asyncio.wait([*waiting, *self._keepers], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        if self._stopping.is_set():
            return 0
        return next((keeper.result() for keeper in self._keepers if keeper.done()), None)

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            for child in self._children:
                child.kill()
        else:
            say("healthsweep: stopping; a second signal kills")
            self._stopping.set()


def main(product: Sequence[Program] = PRODUCT) -> int:
    """Run `product` and what it needs until a signal; answers the exit status."""
    parser = argparse.ArgumentParser(prog="deploy/run", description="Run healthsweep in the foreground.")
    parser.add_argument("--demo", action="store_true", help="also make four workspaces to play with")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT is ignored in a shell's background jobs
        signal.signal(number, signal.default_int_handler)
    try:
        settings = Settings.load(os.environ)
        home = settings.healthsweep_home
        with lock_home(home):
            inherited = [wait_for_last_run(home)]
            made = plan(settings, demo=options.demo, product=product)
            chosen = {name: os.environ[name] for name in settings.shown() if os.environ.get(name)}
            write_environment(home, {**chosen, **made.variables})
            environ = {**os.environ, **made.variables, "HEALTHSWEEP_HOME": str(home)}
            announce = f"ready url={made.url} home={home}"
            return asyncio.run(
                Supervisor(environ, inherited=inherited).run(
                    made.programs, announce=announce, afterwards=made.afterwards
                )
            )
    except SettingsError as problem:
        sys.stderr.write(f"healthsweep: {problem}\n")
        return EX_CONFIG
    except (HealthsweepError, OSError) as problem:
        sys.stderr.write(f"healthsweep: {problem}\n")
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
