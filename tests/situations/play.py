"""Situations by name, and how one is played."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from tests.situations.scene import Ground, Onlooker, Scene

Play = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Situation:
    """`settings` are what it needs otherwise than others do."""

    play: Play
    settings: Mapping[str, str]

    @property
    def verdict(self) -> str:
        """What is right to say about it."""
        return " ".join((self.play.__doc__ or "").split())


SITUATIONS: dict[str, Situation] = {}


def situation(**settings: str) -> Callable[[Play], Play]:
    """Make it known by its name."""

    def known(play: Play) -> Play:
        SITUATIONS[play.__name__] = Situation(play, settings)
        return play

    return known


async def play(name: str, ground: Ground, *, onlooker: Onlooker | None = None) -> list[str]:
    """Play it; all that was printed. Whatever was frozen or killed is well again afterwards."""
    chosen = SITUATIONS[name]
    async with Scene(ground, chosen.settings, onlooker=onlooker) as scene:
        await chosen.play(scene)
        return scene.log()
