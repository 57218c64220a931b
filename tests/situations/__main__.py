"""`python -m tests.situations --into DIR [NAME...]`: play situations and keep what the services print."""

import argparse
import asyncio
import time
from pathlib import Path

from tests.situations import kept
from tests.situations.play import SITUATIONS, play
from tests.situations.scene import own_ground


async def record(names: list[str], into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    async with own_ground() as ground:
        for name in names:
            began = time.monotonic()
            lines = await play(name, ground)
            kept.write(into, name, lines)
            print(f"{name}: {len(lines)} lines, {time.monotonic() - began:.0f} s", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m tests.situations", description=__doc__)
    options.add_argument("--into", type=Path, required=True, metavar="DIR")
    options.add_argument("names", nargs="*", default=list(SITUATIONS), metavar="NAME")
    chosen = options.parse_args()
    if unknown := set(chosen.names) - set(SITUATIONS):
        options.error(f"no such situation: {', '.join(sorted(unknown))}")
    asyncio.run(record(chosen.names, chosen.into))


if __name__ == "__main__":
    main()
