"""`python -m tests.bench.load`: clients that ask a server at once, in a process of their own.

Takes a Load as JSON on stdin, answers the seconds that it took on stdout. Each client keeps one connection
and asks again as soon as it has a whole answer. It looks at the status and the length; bodies are thrown away
in the kernel, as a network card would take them away, so that the server is what is measured.
"""

import asyncio
import json
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from deploy.children import tied

_LONGEST_HEAD = 2**16
_MOST = 2**24
_NOWHERE = bytearray(_MOST)
_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Load:
    """`requests[i]` is the whole request of client i; all together ask `times` times."""

    port: int
    requests: Sequence[str]
    times: int

    async def seconds(self) -> float:
        """From the first question to the last answer. Raises RuntimeError if any of them is no 200."""
        process = await asyncio.create_subprocess_exec(
            *tied([sys.executable, "-m", "tests.bench.load"]),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        answer, _ = await process.communicate(json.dumps(asdict(self)).encode())
        if process.returncode != 0:
            raise RuntimeError(f"the load on port {self.port} failed")
        return float(answer)


class _Client:
    """One client. `turns` is everybody's: whoever draws one asks."""

    def __init__(self, port: int, request: str, turns: Iterator[int]) -> None:
        self._request = request.encode()
        self._turns = turns
        self._missing = 0
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setblocking(False)
        self._loop.add_reader(self._socket, self._readable)

    def ask(self) -> None:
        if next(self._turns, None) is None:
            self._end()
        else:
            self._socket.sendall(self._request)

    def _readable(self) -> None:
        try:
            self._read()
        except (OSError, ValueError) as exc:
            self._end(exc)

    def _read(self) -> None:
        if self._missing:
            taken = self._socket.recv_into(_NOWHERE, min(self._missing, _MOST), socket.MSG_TRUNC)
            if not taken:
                raise ConnectionError("the server ended the connection")
            self._missing -= taken
        else:
            head, end, body = self._socket.recv(_LONGEST_HEAD).partition(b"\r\n\r\n")
            if not end:
                raise ValueError("no whole head came at once")
            self._missing = _length(head) - len(body)
        if not self._missing:
            self.ask()

    def _end(self, exc: Exception | None = None) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()
        if exc:
            self.done.set_exception(exc)
        else:
            self.done.set_result(None)


def _length(head: bytes) -> int:
    """Of the body behind `head`. Raises ValueError for what is no success of a known length."""
    status, *lines = head.decode("latin-1").lower().split("\r\n")
    if status.split()[1] != "200":
        raise ValueError(f"an answer was {status}")
    (length,) = (line.partition(":")[2] for line in lines if line.startswith("content-length:"))
    return int(length)


async def ask(load: Load) -> float:
    """The seconds that it took."""
    turns = iter(range(load.times))
    clients = [_Client(load.port, request, turns) for request in load.requests]
    began = time.perf_counter()
    for client in clients:
        client.ask()
    async with asyncio.timeout(_SECONDS):
        await asyncio.gather(*(client.done for client in clients))
    return time.perf_counter() - began


def main() -> None:
    print(asyncio.run(ask(Load(**json.load(sys.stdin)))))


if __name__ == "__main__":
    main()
