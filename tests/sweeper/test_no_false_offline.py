"""No row goes offline without a definite answer of Docker, whatever is broken: judged by the recorded wire.
And where nothing is broken, a row follows its container in time.

The scenarios stand in `troubles_*` and in `default_settings`, and run side by side.
"""

import pytest

from tests.sweeper import default_settings, troubles_elsewhere, troubles_of_docker, troubles_on_the_wire
from tests.sweeper.side_by_side import SideBySide, names


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", names(default_settings))
async def test_a_row_follows_its_container(name: str, side_by_side: SideBySide) -> None:
    await side_by_side.end_of(name)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", names(troubles_of_docker, troubles_on_the_wire, troubles_elsewhere))
async def test_no_false_offline(name: str, side_by_side: SideBySide) -> None:
    await side_by_side.end_of(name)
