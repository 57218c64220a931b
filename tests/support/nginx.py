"""A real nginx.

async with running_nginx(directory, "server { listen 127.0.0.1:8001; root /srv; }", port=8001) as server:
    server.url; server.pid
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from deploy.children import tied

_FRAME = """
daemon off;
master_process off;
pid {directory}/pid;
error_log {directory}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {directory}/client;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
{servers}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """One process, which is its own worker."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def running_nginx(directory: Path, servers: str, *, port: int) -> AsyncIterator[Nginx]:
    """An nginx with these `servers`, once it listens on `port`; its files lie in `directory`."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin") or shutil.which("nginx")
    if program is None:
        raise RuntimeError("nginx is not installed: apt-get install nginx")
    (directory / "nginx.conf").write_text(_FRAME.format(directory=directory, servers=servers))
    process = await asyncio.create_subprocess_exec(
        *tied([program, "-p", str(directory), "-c", "nginx.conf"], death_signal="KILL")
    )
    server = Nginx(process.pid, port)
    try:
        async with asyncio.timeout(20), aiohttp.ClientSession() as session:
            while process.returncode is None:
                try:
                    await session.get(f"{server.url}/")
                    break
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0.02)
        assert process.returncode is None, "nginx does not take its configuration"
        yield server
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
