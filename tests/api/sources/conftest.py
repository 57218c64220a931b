"""The tests of sources share a forge, emptied after each test.

forge   serves git repositories over smart HTTP        tests/support/forge.py
into    an empty directory
registry, plugin        a directory of plugins, and the one in it
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.forge import Forge, serve


@pytest.fixture(scope="session")
def everybodys_forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    with Forge(tmp_path_factory.mktemp("forge")) as forge:
        yield forge


@pytest.fixture
def forge(everybodys_forge: Forge) -> Iterator[Forge]:
    everybodys_forge.answer = serve
    everybodys_forge.requests.clear()
    everybodys_forge.sent_bytes = 0
    yield everybodys_forge
    for path in everybodys_forge.directory.iterdir():
        shutil.rmtree(path)


@pytest.fixture
def into(tmp_path: Path) -> Path:
    path = tmp_path / "into"
    path.mkdir()
    return path


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    path = tmp_path / "registry"
    (path / "plugin").mkdir(parents=True)
    return path


@pytest.fixture
def plugin(registry: Path) -> Path:
    return registry / "plugin"
