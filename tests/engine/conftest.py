"""A workspace whose container a test makes."""

from uuid import UUID, uuid4

import pytest


@pytest.fixture
def workspace() -> UUID:
    return uuid4()
