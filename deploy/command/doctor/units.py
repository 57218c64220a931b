"""What systemd says of our units, where it runs."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from deploy import layout
from shared.settings import Settings

_LISTENS = re.compile(r"\[?(?P<host>[^\]]*)\]?:(?P<port>\d+) \(Stream\)")
_PROGRAM_S = 5.0


def systemd_runs() -> bool:
    """Whether it is this host's first process: sd_booted(3)."""
    return Path("/run/systemd/system").exists()


async def shown(unit: str, *properties: str) -> Mapping[str, str] | None:
    """The properties of a unit; None if it is not installed. Raises TimeoutError."""
    wanted = ",".join(("LoadState", *properties))
    said = await run(["systemctl", "show", unit, f"--property={wanted}"])
    values = dict(line.partition("=")[::2] for line in said.splitlines())
    return values if values.get("LoadState") == "loaded" else None


async def with_address_of_api(settings: Settings) -> Settings:
    """`settings` with the address of the api: where systemd holds its socket, they cannot say."""
    socket = await shown(layout.SOCKET, "Listen") if systemd_runs() else None
    return listening(settings, socket["Listen"]) if socket else settings


def listening(settings: Settings, listen: str) -> Settings:
    """`settings` with the address in a socket unit's property Listen, such as `[::]:8080 (Stream)`."""
    if not (address := _LISTENS.fullmatch(listen)):
        return settings
    return replace(settings, bind_address=address["host"], port=int(address["port"]))


async def run(command: Sequence[str]) -> str:
    """What a program of the system prints. Raises TimeoutError."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_PROGRAM_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output.decode(errors="replace")
