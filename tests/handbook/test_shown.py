"""What the handbook shows of real runs is what they print."""

import pytest

from tests.handbook import shown
from tests.situations import kept  # noqa: F401 - makes the situations known
from tests.situations.scene import Ground

LOOKS = shown.wanted()


def test_everything_that_is_wanted_is_shown() -> None:
    assert all(text.startswith(f"$ healthsweep {look.command}\n") for look, text in LOOKS.items())
    assert len({look.situation for look in LOOKS if look.command.startswith("why")}) >= 8


@pytest.mark.long
@pytest.mark.parametrize("situation", dict.fromkeys(look.situation for look in LOOKS))
async def test_played_again_it_is_the_same(situation: str, ground: Ground) -> None:
    """But for numbers, times and ids."""
    looks = [look for look in LOOKS if look.situation == situation]
    for look, text in (await shown.taken(situation, looks, ground)).items():
        assert shown.skeleton(text) == shown.skeleton(LOOKS[look])
