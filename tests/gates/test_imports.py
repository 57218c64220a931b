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

from tests.gates.tree import copy_tree, packages, plant
from tests.support.processes import CHECKOUT


class Plant(NamedTuple):
    """A line in a file, and the one contract that it must break."""

    breaks: str
    file: str
    text: str

    @property
    def culprit(self) -> str:
        """What the contract's message must name: this import, or this file where it imports nothing."""
        module = self.file.removesuffix(".py").replace("/", ".")
        imported = re.search(r"(?:import|from) (\S+)", self.text)
        if imported is None:
            return module
        package, _, _ = imported[1].partition(".")
        return f"{module} -> {imported[1] if package in packages(CHECKOUT) else package}"


VIOLATIONS = (
    Plant("packages", "sweeper/look.py", "import deploy.places"),
    Plant("packages", "shared/systemd.py", "import sweeper"),
    Plant("packages", "shared/systemd.py", "import api"),
    Plant("packages", "shared/systemd.py", "import deploy.places"),
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
    Plant("inside-shared", "shared/errors.py", "import shared.systemd"),
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
    Plant(
        "inside-deploy-command-doctor",
        "deploy/command/doctor/finding.py",
        "import deploy.command.doctor.verb",
    ),
    Plant("inside-deploy-command-doctor", "deploy/command/doctor/extra.py", ""),
    Plant("inside-deploy-monitoring", "deploy/monitoring/queries.py", "import deploy.monitoring.alerts"),
    Plant("inside-deploy-monitoring", "deploy/monitoring/extra.py", ""),
    Plant("inside-deploy-host", "deploy/host/steps.py", "import deploy.host.release"),
    Plant("inside-deploy-host", "deploy/host/extra.py", ""),
    Plant("inside-deploy-command", "deploy/command/extra.py", ""),
    Plant("inside-deploy-command-why", "deploy/command/why/words.py", "import deploy.command.why.verb"),
    Plant("inside-deploy-command-why", "deploy/command/why/extra.py", ""),
    Plant(
        "inside-deploy-command-triage", "deploy/command/triage/lines.py", "import deploy.command.triage.run"
    ),
    Plant("inside-deploy-command-triage", "deploy/command/triage/extra.py", ""),
    Plant("triage-alone", "deploy/command/triage/sources.py", "import aiohttp"),
)


def configuration(root: Path) -> dict[str, Any]:
    options: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]
    return options


class Broken(NamedTuple):
    """What import-linter says of a contract that does not hold, and whom it names."""

    message: str
    culprits: frozenset[str]


def broken(root: Path) -> dict[str, Broken]:
    """The contracts that do not hold in the tree at `root`, by their ids."""
    linter = Path(sys.executable).parent / "lint-imports"
    ended = subprocess.run(
        [linter, "--no-cache"],
        cwd=root,
        env={**os.environ, "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    ids = {contract["name"]: contract["id"] for contract in configuration(root)["contracts"]}
    verdicts = dict(re.findall(r"^(.+) (KEPT|BROKEN)\b", ended.stdout, re.MULTILINE))
    assert verdicts.keys() == ids.keys(), ended.stdout + ended.stderr
    headed = re.split(r"^(.+)\n-{10,}$", ended.stdout, flags=re.MULTILINE)
    messages = {name: text for name, text in zip(headed[1::2], headed[2::2], strict=True) if name in ids}
    assert messages.keys() == {name for name, verdict in verdicts.items() if verdict == "BROKEN"}
    return {ids[name]: Broken(text, culprits(text)) for name, text in messages.items()}


def culprits(message: str) -> frozenset[str]:
    """The files that have no place, and the last import of each chain of imports."""
    chains = re.findall(r"^- .+(?:\n    .+)*", message, re.MULTILINE)
    return frozenset(
        re.sub(r" \(l\..+\)", "", chain.splitlines()[-1]).removeprefix("- ").strip() for chain in chains
    )


def rounds() -> list[dict[str, Plant]]:
    """All violations, in as few rounds as there can be: in each round at most one for a contract."""
    waiting: dict[str, list[Plant]] = {}
    for violation in VIOLATIONS:
        waiting.setdefault(violation.breaks, []).append(violation)
    most = max(map(len, waiting.values()))
    return [{id_: them[n] for id_, them in waiting.items() if n < len(them)} for n in range(most)]


@pytest.fixture(scope="module")
def broken_already(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Broken]:
    """What does not hold without a plant: that is one test's to say."""
    return broken(copy_tree(tmp_path_factory.mktemp("tree") / "tree"))


def test_every_contract_is_kept(broken_already: dict[str, Broken]) -> None:
    assert not broken_already, "\n".join(it.message for it in broken_already.values())


@pytest.mark.parametrize("planted", rounds(), ids=lambda planted: f"{len(planted)} violations")
def test_a_planted_violation_breaks_its_contract_and_no_other(
    planted: dict[str, Plant], broken_already: dict[str, Broken], tmp_path: Path
) -> None:
    root = copy_tree(tmp_path / "tree")
    for violation in planted.values():
        plant(root, violation.file, violation.text)
    now = broken(root)
    for id_, found in broken_already.items():
        now[id_] = now[id_]._replace(culprits=now[id_].culprits - found.culprits)
    assert {
        id_: found.culprits for id_, found in now.items() if found.culprits or id_ not in broken_already
    } == {id_: {violation.culprit} for id_, violation in planted.items()}
    for contract in configuration(root)["contracts"]:
        if contract["id"] in planted:
            said = " ".join(now[contract["id"]].message.split())
            guidance = " ".join(contract["broken_contract_guidance"].split())
            assert guidance in said, "the message does not say what to do instead"


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
