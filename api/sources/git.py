"""git in a cage: it speaks to one server, writes to one directory, and runs nothing but itself.

Nothing of this host reaches it: no environment, no configuration of the system or of a user, no home, no
prompt, no credential helper. Nothing that it fetched is run or obeyed: no hooks, no submodules, and no
working tree, so that no filter, no LFS and no .gitattributes ever applies. Its memory and the size of its
files are bounded by the kernel while it fetches, and it dies with this process, or when it is told to.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import ceil
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from api.errors import ApiError, FetchFailed, PluginTooLarge
from api.sources.git_words import GitMissing, meaning

_CONFIGURATION = {
    "core.hooksPath": os.devnull,
    "core.bigFileThreshold": "1m",  # greater ones are streamed, not held in memory
    "core.fsync": "none",  # what is fetched lives for seconds
    "credential.helper": "",
    "fetch.unpackLimit": "1",  # always one pack: the limit on a file's size is one on everything
    "gc.auto": "0",
    "http.followRedirects": "false",
    "maintenance.auto": "false",
    "pack.threads": "1",
    "protocol.version": "2",  # of which any commit can be asked for
    "submodule.recurse": "false",
    "transfer.bundleURI": "false",
}
_FETCH = ("fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-write-commit-graph")
_PROGRAM_BYTES = 256 * 2**20
_OVERHEAD_BYTES = 16 * 2**20  # the names of ten thousand files, and what does not get smaller
_MAX_SAID, _KEPT_SAID = 2**20, 2**13
_DEATH_S = 5.0
_NO_SUCH_PROGRAM = 127


class Git:
    """One bare repository in the private directory `work`, and the only way to run git on it."""

    def __init__(self, work: Path, *, protocol: str, max_bytes: int, seconds: float) -> None:
        self.work = work
        self._max_file_bytes = max_bytes + max_bytes // 64 + _OVERHEAD_BYTES
        limits = [
            f"--as={_PROGRAM_BYTES + 3 * max_bytes}",
            f"--fsize={self._max_file_bytes}",
            "--core=0",
        ]
        # What speaks http is a grandchild, which no signal tells that we are gone: it leaves a silent server.
        silence = {"http.lowSpeedLimit": "1", "http.lowSpeedTime": str(ceil(seconds))}
        configuration = _CONFIGURATION | silence
        options = [word for key, value in configuration.items() for word in ("-c", f"{key}={value}")]
        self._command = (
            *("prlimit", *limits, "--"),
            *("setpriv", "--pdeathsig", "KILL", "--no-new-privs", "--"),
            *("git", *options),
        )
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(work),
            "LC_ALL": "C",
            "GIT_DIR": str(work),
            "GIT_ALLOW_PROTOCOL": protocol,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }
        self._killed = False
        self._reading: subprocess.Popen[bytes] | None = None

    async def init(self) -> None:
        """Make the repository. Raises FetchFailed, StorageFull."""
        await self._run("init", "--quiet", "--bare", "--template=")

    async def fetch(self, url: str, ref: str) -> str:
        """Fetch the one commit that `ref` means there; what git calls it now.

        Raises RepositoryMissing, RefMissing, PluginTooLarge, StorageFull, FetchFailed.
        """
        await self._run(*_FETCH, "--", url, ref)
        return "FETCH_HEAD" if ref == "HEAD" or ref.startswith("refs/") else ref

    async def objects(self, url: str, *refs: str) -> dict[str, str]:
        """Those of `refs` that the repository at `url` has, with what they mean there. Raises the same."""
        with TemporaryFile(dir=self.work) as output:
            await self._run("ls-remote", "--quiet", "--", url, *refs, output=output.fileno())
            output.seek(0)
            lines = output.read(_MAX_SAID).decode(errors="replace").splitlines()
        found = {ref: name for name, _, ref in (line.partition("\t") for line in lines)}
        return {ref: found[ref] for ref in refs if ref in found}

    @contextmanager
    def reading(self, *arguments: str, stdin: BinaryIO | int = subprocess.DEVNULL) -> Iterator[BinaryIO]:
        """What this git command prints, for a thread. Raises FetchFailed unless it ended well."""
        with subprocess.Popen(  # noqa: S603 - an argv; what of it is from outside was checked
            [*self._command, *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment,
            cwd=self.work,
        ) as process:
            self._reading = process
            if self._killed:
                process.kill()
            try:
                yield cast(BinaryIO, process.stdout)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise FetchFailed

    def kill(self) -> None:
        """End the command that a thread reads from, and every one that it starts from now on."""
        self._killed = True
        if self._reading:
            self._reading.kill()

    async def _run(self, *arguments: str, output: int = subprocess.DEVNULL) -> None:
        starting = asyncio.create_task(
            asyncio.create_subprocess_exec(
                *self._command,
                *arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                env=self._environment,
                cwd=self.work,
                start_new_session=True,
            )
        )
        try:
            process = await asyncio.shield(starting)  # half started, it could not be ended with its children
            said = await _said(process)
        except FileNotFoundError as exc:
            raise FetchFailed(hint="util-linux is not installed on this host") from exc
        except BaseException:
            await _end(await starting)
            raise
        if process.returncode:
            raise self._failure(process.returncode, said)

    def _failure(self, status: int, said: bytes) -> ApiError | GitMissing:
        if any(path.stat().st_size >= self._max_file_bytes for path in self.work.rglob("pack/*")):
            return PluginTooLarge()
        if status == _NO_SUCH_PROGRAM:
            return FetchFailed(hint="git is not installed on this host")
        return meaning(said)


async def _said(process: asyncio.subprocess.Process) -> bytes:
    """The last of what the command says on stderr until it and all its children have ended."""
    stderr = cast(asyncio.StreamReader, process.stderr)
    said, total = b"", 0
    while chunk := await stderr.read(2**16):
        said, total = (said + chunk)[-_KEPT_SAID:], total + len(chunk)
        if total > _MAX_SAID:
            raise FetchFailed
    await process.wait()
    return said


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the command with all its children, and wait until none of them can write any more."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        await asyncio.wait_for(process.communicate(), _DEATH_S)  # ends when the last of them has let go
