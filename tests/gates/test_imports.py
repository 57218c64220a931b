"""Who may import whom: every contract is kept, and every contract breaks when it is violated."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.gates.tree import CHECKOUT, copy_tree, packages, plant


class Plant(NamedTuple):
    """A line in a file, and the one contract that it must break."""

    breaks: str
    file: str
    text: str


VIOLATIONS = (
    Plant("packages", "sweeper/look.py", "import deploy.places"),
    Plant("packages", "shared/outage.py", "import sweeper"),
    Plant("packages", "shared/outage.py", "import api"),
    Plant("packages", "shared/outage.py", "import deploy.places"),
    Plant("packages", "sweeper/look.py", "import api"),
    Plant("packages", "api/errors.py", "import sweeper"),
    Plant("packages", "api/errors.py", "import deploy.places"),
    Plant("docker", "sweeper/look.py", "import aiodocker"),
    Plant("docker", "api/errors.py", "import aiodocker"),
    Plant("docker", "deploy/images.py", "from aiodocker.containers import DockerContainer"),
    Plant("docker", "deploy/images.py", "def peek() -> None:\n    import aiodocker"),
    Plant("sql", "sweeper/sweep.py", "import asyncpg"),
    Plant("sql", "shared/transitions.py", "from asyncpg import Record"),
    Plant("sql", "api/errors.py", "import asyncpg"),
    Plant("sql", "deploy/command/verbs.py", "import asyncpg"),
    Plant("pure", "shared/running.py", "import structlog"),
    Plant("pure", "shared/running.py", "import aiohttp"),
    Plant("pure", "shared/ids.py", "import structlog"),
    Plant("pure", "shared/errors.py", "import structlog"),  # through a third file is no better
    Plant("inside-shared", "shared/errors.py", "import shared.outage"),
    Plant("inside-shared", "shared/engine.py", "import shared.running"),
    Plant("inside-shared", "shared/extra.py", ""),
    Plant("inside-sweeper", "sweeper/store.py", "import sweeper.mark"),
    Plant("inside-sweeper", "sweeper/mark.py", "import sweeper.look"),
    Plant("inside-sweeper", "sweeper/extra.py", ""),
    Plant("inside-api", "api/names.py", "import api.manifests"),
    Plant("inside-api", "api/extra.py", ""),
    Plant("inside-api-handlers", "api/handlers/process.py", "import api.handlers.agents"),
    Plant("inside-api-handlers", "api/handlers/extra.py", ""),
    Plant("inside-api-plugins", "api/plugins/scripts.py", "import api.plugins.container"),
    Plant("inside-api-plugins", "api/plugins/extra.py", ""),
    Plant("inside-api-sources", "api/sources/base.py", "import api.sources.registry"),
    Plant("inside-api-sources", "api/sources/extra.py", ""),
    Plant("inside-api-store", "api/store/presence.py", "import api.store.access"),
    Plant("inside-api-store", "api/store/extra.py", ""),
    Plant("inside-deploy", "deploy/places.py", "import deploy.home"),
    Plant("inside-deploy", "deploy/extra.py", ""),
    Plant("inside-deploy-command", "deploy/command/tables.py", "import deploy.command.store"),
    Plant("inside-deploy-command", "deploy/command/extra.py", ""),
)


def configuration(root: Path) -> dict[str, Any]:
    options: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]
    return options


def broken(root: Path) -> tuple[set[str], str]:
    """The ids of the contracts that do not hold in the tree at `root`, and what import-linter says."""
    linter = Path(sys.executable).parent / "lint-imports"
    ended = subprocess.run(
        [linter, "--no-cache"],
        cwd=root,
        env={**os.environ, "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = ended.stdout + ended.stderr
    ids = {contract["name"]: contract["id"] for contract in configuration(root)["contracts"]}
    verdicts = dict(re.findall(r"^(.+) (KEPT|BROKEN)\b", ended.stdout, re.MULTILINE))
    assert verdicts.keys() == ids.keys(), said
    return {ids[name] for name, verdict in verdicts.items() if verdict == "BROKEN"}, said


@pytest.fixture(scope="module")
def broken_already(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What does not hold without a plant: that is one test's to say."""
    return broken(copy_tree(tmp_path_factory.mktemp("tree") / "tree"))[0]


def test_every_contract_is_kept(tmp_path: Path) -> None:
    ids, said = broken(copy_tree(tmp_path / "tree"))
    assert not ids, said


@pytest.mark.parametrize("violation", VIOLATIONS, ids=lambda violation: f"{violation[0]}: {violation[1]}")
def test_a_planted_violation_breaks_one_contract(
    violation: Plant, broken_already: set[str], tmp_path: Path
) -> None:
    root = copy_tree(tmp_path / "tree")
    plant(root, violation.file, violation.text)
    ids, said = broken(root)
    assert ids == {violation.breaks, *broken_already}, said
    (contract,) = (it for it in configuration(root)["contracts"] if it["id"] == violation.breaks)
    guidance = contract["broken_contract_guidance"].split()
    assert " ".join(guidance) in " ".join(said.split()), "the message does not say what to do instead"


def test_every_contract_has_a_planted_violation() -> None:
    assert {violation.breaks for violation in VIOLATIONS} == {
        contract["id"] for contract in configuration(CHECKOUT)["contracts"]
    }


def test_no_package_is_forgotten() -> None:
    options = configuration(CHECKOUT)
    assert sorted(options["root_packages"]) == packages(CHECKOUT), (
        "root_packages of [tool.importlinter] in pyproject.toml names every top-level package"
    )
    layered = {
        container
        for contract in options["contracts"]
        if contract.get("exhaustive")
        for container in contract["containers"]
    }
    nested = {
        ".".join(path.parent.relative_to(CHECKOUT).parts)
        for package in packages(CHECKOUT)
        for path in (CHECKOUT / package).rglob("__init__.py")
        if len(list(path.parent.glob("*.py"))) > 1
    }
    assert layered == nested, "every package with files in it has a layers contract with exhaustive = true"


def from_database(source: str) -> set[str]:
    """What this source text imports of shared.database: names, `*`, or the module itself."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name == "shared.database"}
        elif isinstance(node, ast.ImportFrom) and node.module == "shared":
            found |= {"shared.database" for alias in node.names if alias.name == "database"}
        elif isinstance(node, ast.ImportFrom) and node.module == "shared.database":
            found |= {alias.name for alias in node.names}
    return found


def test_transitions_are_written_on_a_connection_that_is_handed_in() -> None:
    """shared.transitions opens no connection and begins no transaction: that is for whoever calls it."""
    source = (CHECKOUT / "shared/transitions.py").read_text()
    assert from_database(source) == {"Connection"}
    for planted in ("from shared.database import Database", "from shared import database as database"):
        assert from_database(f"{source}\n{planted}\n") != {"Connection"}
    assert "shared.database" in from_database("import shared.database")
