"""Clients that are slow on purpose: `python -m tests.api.slow_clients PORT COUNT`, until its input ends.

A third connects and says nothing, a third is for ever in the middle of its headers, a third in the middle of
its body. It says `ready` when all are connected, and at the end how many were still there.
"""

import asyncio
import itertools
import resource
import sys

_EVERY_S = 2.0
_AT_ONCE = 50
_BEGINNINGS = (
    b"",
    b"GET /workspaces HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    b"POST /registry/heartbeat HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{",
)


async def main(port: int, count: int) -> None:
    some = asyncio.Semaphore(_AT_ONCE)

    async def connect(beginning: bytes) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
        async with some:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(beginning)
            return beginning, reader, writer

    beginnings = itertools.islice(itertools.cycle(_BEGINNINGS), count)
    clients = await asyncio.gather(*map(connect, beginnings))
    print("ready", flush=True)
    end = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    while not end.done():
        for beginning, _, writer in clients:
            if beginning:
                writer.write(b"a")
        await asyncio.wait([end], timeout=_EVERY_S)
    print(sum(not reader.at_eof() for _, reader, _ in clients), flush=True)
    for _, _, writer in clients:
        writer.close()


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
