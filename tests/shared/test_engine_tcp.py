"""An engine at a TCP port, and what else may answer there."""

import asyncio

from shared.engine import Engine
from shared.running import NotRunning, Running, container_snapshot
from tests.shared.question import FULL, WORKSPACE, answered, unknown
from tests.shared.servers import tcp_server
from tests.support.daemon import FakeDaemon, State


async def test_an_engine(fake_daemon: FakeDaemon) -> None:
    fake_daemon.containers[FULL] = State("running")

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_unix_connection(fake_daemon.path)

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            try:
                while piece := await source.read(1 << 16):
                    target.write(piece)
            finally:
                target.close()

        await asyncio.gather(copy(reader, here), copy(there, writer))

    async with tcp_server(forward) as port, Engine(f"tcp://127.0.0.1:{port}", timeout=10) as engine:
        assert isinstance(await answered(engine), Running)
        snapshot = await container_snapshot(engine)
        assert isinstance(snapshot.state(WORKSPACE, short_name_is_unique=True), Running)
        fake_daemon.containers.clear()
        assert await answered(engine, unique=True) == NotRunning(FULL, "missing")


async def test_another_protocol() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")

    async with tcp_server(serve) as port, Engine(f"tcp://127.0.0.1:{port}", timeout=10) as engine:
        assert (await unknown(engine)).reason == "malformed"


async def test_somebody_who_hangs_up() -> None:
    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readline()

    async with tcp_server(serve) as port, Engine(f"tcp://127.0.0.1:{port}", timeout=10) as engine:
        assert (await unknown(engine)).reason == "unreachable"


async def test_somebody_who_never_answers() -> None:
    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with tcp_server(serve) as port, Engine(f"tcp://127.0.0.1:{port}", timeout=0.4) as engine:
        assert (await unknown(engine)).reason == "timeout"


async def test_nobody() -> None:
    async def serve(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None: ...

    async with tcp_server(serve) as port:
        pass
    async with Engine(f"tcp://127.0.0.1:{port}", timeout=10) as engine:
        assert (await unknown(engine)).reason == "unreachable"
