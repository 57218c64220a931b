"""A home for each test."""

from pathlib import Path

import pytest


@pytest.fixture
def home(short_directory: Path) -> Path:
    """Not there yet, below a directory that is closed for everybody else."""
    closed = short_directory / "closed"
    closed.mkdir(mode=0o700)
    return closed / "home"
