"""The only door to Docker: every call has a deadline, every failure a reason.

aiodocker has no timeouts, follows redirects, drops headers and lets a dozen kinds of exceptions through.
All of that ends here. Whatever is not a plain answer of the engine leaves this module as EngineError:

    unreachable    nobody listens, or the connection broke before the whole answer was here
    timeout        no whole answer in time
    refused        an answer, but a refusal: 4xx, 5xx, a redirect, another server's 404
    malformed      a success that cannot be read

Only the 404 that says `no such container` is an answer: ContainerMissing.
"""

import asyncio
import json
import tarfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiodocker
import aiohttp

from shared import metrics
from shared.errors import ContainerMissing, EngineError

# What reading a success can raise in aiodocker: no JSON, or nested without end, no UTF-8, no object, a key
# or a type amiss, and a tar that is none, because there the content type decides how it is read.
_UNREADABLE = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
    tarfile.TarError,
    EOFError,
)
# aiodocker's own status for "cannot connect" (aiodocker/docker.py); no engine answers with it.
_CANNOT_CONNECT = 900
_EXEC_POLL_S = 0.005
_MOST_TOLD = 200  # characters of what a stranger says
_STDOUT = 1


@dataclass(frozen=True, slots=True)
class Executed:
    """How a program in a container ended, and what it wrote to its standard output."""

    exit_code: int
    output: bytes


class Engine:
    """A Docker Engine, or Podman's Docker-compatible socket, at `host` (`unix://...` or `tcp://...`).

    `timeout` (seconds) is the deadline of each call; `inspects` counts the questions about one container.
    """

    def __init__(self, host: str, *, timeout: float) -> None:
        self._host = host
        self._timeout = timeout
        self.inspects = 0

    async def __aenter__(self) -> Self:
        # No limit of connections: programs that hang in one container must not keep others from being asked.
        connector: aiohttp.BaseConnector
        if self._host.startswith("unix://"):
            connector = aiohttp.UnixConnector(self._host.removeprefix("unix://"), limit=0)
            url = "unix://localhost"
        else:
            connector = aiohttp.TCPConnector(limit=0)
            url = self._host
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), middlewares=(_plain_answers_only,)
        )
        self._docker = aiodocker.Docker(url=url, connector=connector, session=self._session)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._docker.close()
        await self._session.close()

    @asynccontextmanager
    async def deadline(self, seconds: float | None = None) -> AsyncIterator[None]:
        """Bound what happens inside to `seconds`, or to `timeout`. Deadlines nest: the outermost bounds all.

        Raises EngineError (`timeout`).
        """
        try:
            async with asyncio.timeout(self._timeout if seconds is None else seconds):
                yield
        except TimeoutError as exc:
            self._negotiate_again()
            raise EngineError("timeout", "no answer in time") from exc

    @asynccontextmanager
    async def _call(self, seconds: float | None = None) -> AsyncIterator[None]:
        """One call to the engine: within the deadline, every failure translated to EngineError."""
        try:
            async with self.deadline(seconds):
                yield
        except EngineError:
            self._negotiate_again()
            raise
        except Exception as exc:
            if (error := _translate(exc)) is None:
                raise
            self._negotiate_again()
            raise error from exc

    def _negotiate_again(self) -> None:
        """Forget the API version: after a failure another engine may answer at the same address."""
        self._docker.api_version = "auto"

    async def inspect_container_state(self, name: str) -> object:
        """Docker's inspect answer for `name`, as it came. Raises ContainerMissing, EngineError.

        For `shared.running` alone: what the answer means is decided there.
        """
        self.inspects += 1
        metrics.INSPECTS.inc()
        async with self._call():
            return await self._docker.containers.container(name).show()

    async def ping(self) -> None:
        """Return if an engine answers. Raises EngineError."""
        await self.version()

    async def version(self) -> Mapping[str, object]:
        """What the engine says of itself, such as its `Version` and `ApiVersion`. Raises EngineError."""
        async with self._call():
            said: object = await self._docker.version()
        if not isinstance(said, dict):
            raise EngineError("malformed", "a version that is no object")
        return said

    async def list_container_states(self) -> object:
        """Docker's list of all containers, as it came. Raises EngineError. For `shared.running` alone."""
        async with self._call():
            # aiodocker's own list() makes an empty one of `{}` and of an answer without a body.
            return await self._docker._query_json("containers/json", params={"all": True})  # noqa: SLF001

    async def execute(
        self, container_id: str, arguments: Sequence[str], *, seconds: float, max_output: int
    ) -> Executed:
        """Run a program as root in the container, and wait for its end.

        There is no way to end an exec, so a program that outlives `seconds` goes on: keep it idempotent.
        Raises ContainerMissing, and EngineError also when it writes more than `max_output` bytes (standard
        error included, which is dropped) or when the engine does not know the exit code.
        """
        async with self._call(seconds):
            execution = await self._docker.containers.container(container_id).exec(list(arguments), user="0")
            output, written = bytearray(), 0
            async with execution.start(detach=False) as stream:
                while (message := await stream.read_out()) is not None:
                    written += len(message.data)
                    if message.stream == _STDOUT:
                        output += message.data
                    if written > max_output:
                        raise EngineError("malformed", f"more than {max_output} bytes of output")
            while (ended := await execution.inspect())["Running"]:
                await asyncio.sleep(_EXEC_POLL_S)
            if not isinstance(exit_code := ended["ExitCode"], int):
                raise EngineError("malformed", "an exec ended without an exit code")
            return Executed(exit_code, bytes(output))

    async def has_path(self, container_id: str, path: str) -> bool:
        """Whether `path` exists in the container; not whether it runs. Raises EngineError."""
        question = f"containers/{container_id}/archive"
        async with self._call():
            try:
                async with self._docker._query(question, "HEAD", params={"path": path}):  # noqa: SLF001 - its own get_archive fetches the file
                    return True
            except EngineError as exc:
                if exc.status == 404:  # noqa: PLR2004 - HTTP's own number; what answers HEAD has no text
                    return False
                raise

    async def upload(
        self, container_id: str, directory: str, tar: Iterable[bytes], *, seconds: float
    ) -> None:
        """Unpack the pieces of an uncompressed `tar`, which may block, in the existing `directory`.

        Raises ContainerMissing, EngineError, and what making a piece raises.
        """
        made = iter(tar)
        problem: Exception | None = None

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal problem
            ahead = asyncio.create_task(asyncio.to_thread(next, made, b""))
            try:
                while piece := await ahead:
                    ahead = asyncio.create_task(asyncio.to_thread(next, made, b""))
                    yield piece
            except Exception as exc:
                problem = exc  # aiohttp makes a broken connection of it
                raise
            finally:
                ahead.cancel()  # it is over, or nobody wants more

        try:
            async with self._call(seconds):
                await self._docker.containers.container(container_id).put_archive(  # type: ignore[no-untyped-call] # aiodocker has no types here
                    directory, pieces()
                )
        except EngineError:
            if problem is not None:
                raise problem from None
            raise

    async def restart(self, container_id: str, *, seconds: float) -> None:
        """Restart the container. Raises ContainerMissing, EngineError."""
        async with self._call(seconds):
            await self._docker.containers.container(container_id).restart()


async def _plain_answers_only(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Let only successes through to aiodocker, which would follow redirects and drop a 404's `cause`."""
    response = await handler(request)
    if response.status < 300 or response.status == 304:  # noqa: PLR2004 - HTTP's own numbers
        return response
    async with response:
        body = await response.read()
    # Whoever says that of the list, or of its own version, is no engine.
    about_one = not request.url.path.endswith(("/version", "/containers/json"))
    if about_one and response.status == 404 and _says_no_such_container(body):  # noqa: PLR2004
        raise ContainerMissing
    detail = f"the engine answered {response.status}{_reason_given(body)}"
    raise EngineError("refused", detail, status=response.status)


def _says_no_such_container(body: bytes) -> bool:
    """Whether a 404 is about the container and not about the path, judged by its text alone.

    dockerd says so in `message`, Podman in `cause`.
    """
    return any("no such container" in text.lower() for text in _texts(body))


def _reason_given(body: bytes) -> str:
    """What an error says, for the log."""
    texts = _texts(body)
    return f": {texts[0][:_MOST_TOLD]}" if texts else ""


def _texts(body: bytes) -> list[str]:
    """The sentences of an error, the one for people first."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return []
    texts = [answer.get(key) for key in ("message", "cause")] if isinstance(answer, dict) else []
    return [text for text in texts if isinstance(text, str)]


def _translate(exc: Exception) -> EngineError | None:
    """The EngineError that `exc` means; None for what is no failure of the engine's, such as a bug."""
    if isinstance(exc, aiodocker.DockerError):
        if exc.status == _CANNOT_CONNECT:
            return EngineError("unreachable", _root(exc))
        return EngineError("refused", f"the engine answered {exc.status}", status=exc.status)
    if isinstance(exc, aiohttp.ClientResponseError):
        return EngineError("malformed", "not an answer of an engine", status=exc.status)
    if isinstance(exc, aiohttp.ClientError | OSError):
        return EngineError("unreachable", _root(exc))
    if isinstance(exc, _UNREADABLE):
        return EngineError("malformed", f"an unreadable answer ({type(exc).__name__})")
    return None


def _root(exc: BaseException) -> str:
    """What the operating system said, where it said anything: the part that tells an operator why."""
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        exc, cause = cause, cause.__cause__ or cause.__context__
    return type(exc).__name__
