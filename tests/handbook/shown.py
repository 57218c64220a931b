"""What the handbook shows of real runs: commands of the product, run in the middle of a situation.

A page says what it wants, and gets a block below it:

    <!-- engine_frozen: why mail-triage -->

`python -m tests.handbook` plays the situations and writes the blocks; a test plays them again and compares.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tests.handbook.pages import pages
from tests.handbook.terminal import terminal
from tests.situations.play import play
from tests.situations.scene import Ground, Scene, Workspace

_WANTED = re.compile(
    r"^<!-- (?P<situation>\w+): (?P<command>[^>]+) -->\n(?:\n```text\n(?P<shown>(?:(?!```).*\n)*?)```\n)?",
    re.MULTILINE,
)
_NUMBERS = re.compile(r"\d+(\.\d+)?( ?(s|min|m|h))?\b")
_IDS = re.compile(r"\b[0-9a-f]{12,64}\b")


@dataclass(frozen=True, slots=True)
class Look:
    """A command in a situation."""

    situation: str
    command: str


def wanted() -> dict[Look, str]:
    """Every look that the pages want, and what is shown for it so far."""
    found: dict[Look, str] = {}
    for page in pages():
        for match in _WANTED.finditer(page.read_text()):
            found[Look(match["situation"], match["command"])] = match["shown"] or ""
    return found


async def taken(situation: str, looks: Iterable[Look], ground: Ground) -> dict[Look, str]:
    """What each of these prints in the middle of this situation, as it would be on a host."""
    printed: dict[Look, str] = {}

    async def onlooker(scene: Scene, workspace: Workspace) -> None:
        for look in looks:
            (text,) = await terminal(scene, workspace).runs([f"healthsweep {look.command} 2>/dev/null"])
            shown = "\n".join(line.rstrip() for line in scene.of_a_host(text).strip().splitlines())
            printed[look] = f"$ healthsweep {look.command}\n{shown}\n"

    await play(situation, ground, onlooker=onlooker)
    return printed


def write(printed: dict[Look, str]) -> None:
    """Put these below where they are wanted."""
    for page in pages():

        def block(match: re.Match[str]) -> str:
            look = Look(match["situation"], match["command"])
            if look not in printed:
                return match[0]
            return f"<!-- {look.situation}: {look.command} -->\n\n```text\n{printed[look]}```\n"

        page.write_text(_WANTED.sub(block, page.read_text()))


def skeleton(text: str) -> list[str]:
    """What must be the same each time: the words, without numbers, times and ids."""
    lines = _NUMBERS.sub("0", _IDS.sub("0", text)).splitlines()
    return [" ".join(line.split()) for line in lines]
