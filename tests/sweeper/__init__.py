"""Tests of the sweeper: in one process, as a process, and in every trouble."""

import pytest

# Assertions stand in these too, and explain themselves.
pytest.register_assert_rewrite(
    "tests.sweeper.default_settings",
    "tests.sweeper.side_by_side",
    "tests.sweeper.troubles_elsewhere",
    "tests.sweeper.troubles_of_docker",
    "tests.sweeper.troubles_on_the_wire",
)
