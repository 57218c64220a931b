"""With the default settings, on a real engine: a row follows its container in time.

Its name keeps it beside test_no_false_offline, because the scenarios of both run side by side.
"""

import pytest

from tests.sweeper import default_settings
from tests.sweeper.side_by_side import SideBySide, names


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", names(default_settings))
async def test_a_row_follows_its_container(name: str, side_by_side: SideBySide) -> None:
    await side_by_side.end_of(name)
