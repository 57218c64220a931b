"""Requests that nobody thought of, made by Schemathesis from api/openapi.yaml, against the running api.

All of its checks but `positive_data_acceptance` (a schema cannot say which of two valid sources exists),
`negative_data_rejection` (unknown keys and odd numbers are taken) and `not_a_server_error`, in whose place
a check of ours allows 503 and 507.
"""

import asyncio
import os
import random
import re
import sys
from pathlib import Path

import pytest

from tests.api.stage import Stage, staged
from tests.support.engine import DockerEngine
from tests.support.processes import CHECKOUT

# DELETE .../plugins/available is an uninstall, so `Allow` names it, and the document under another path.
CONFIGURATION = """
[checks]
positive_data_acceptance.enabled = false
negative_data_rejection.enabled = false
not_a_server_error.enabled = false

[[operations]]
include-path = ["/workspaces/{id}/plugins/available", "/workspaces/{id}/plugins/compatibility"]
checks.allow_header_conformance.enabled = false
"""


@pytest.mark.timeout(600)
async def test_2000_requests(docker: DockerEngine, database_url: str, short_directory: Path) -> None:
    await fuzz(docker, database_url, short_directory, examples=60, seed=1, least=2000)


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_20000_requests(docker: DockerEngine, database_url: str, short_directory: Path) -> None:
    seed = random.randrange(2**32)
    await fuzz(docker, database_url, short_directory, examples=800, seed=seed, least=20_000)


async def fuzz(
    docker: DockerEngine, url: str, directory: Path, *, examples: int, seed: int, least: int
) -> None:
    """So many examples for each route; at least so many requests altogether."""
    async with staged(url, directory, DOCKER_HOST=docker.host) as stage:
        running = await stage.agent()
        await docker.container(running.container)
        ids = [running.id, (await stage.agent()).id, (await stage.agent(runtime="external")).id]
        plugin = Path(stage.api.environment["HEALTHSWEEP_HOME"]) / "plugins" / "hello"
        plugin.mkdir()
        (plugin / "plugin.yaml").write_text("version: 1.0.0\n")
        (directory / "schemathesis.toml").write_text(CONFIGURATION)
        status, said = await schemathesis(stage, directory, ids, examples=examples, seed=seed)
        metrics = (await stage.api.call("GET", "/metrics")).body.decode()
        asked = sum(
            float(count)
            for count in re.findall(r"^healthsweep_requests_total\{.*\} (.*)$", metrics, re.MULTILINE)
        )
        assert not stage.api.events("request.failed")
        assert not stage.api.events("library.message")
    assert status == 0, f"it ended with {status}: {said}"
    assert asked >= least, f"{asked:.0f} requests"


async def schemathesis(
    stage: Stage, directory: Path, ids: list[str], *, examples: int, seed: int
) -> tuple[int | None, str]:
    """The exit status of a run, and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "schemathesis.cli",
        "run",
        str(CHECKOUT / "api" / "openapi.yaml"),
        f"--url={stage.api.url}",
        f"--header=Authorization: Bearer {stage.api.admin_token}",
        f"--max-examples={examples}",
        f"--seed={seed}",
        "--continue-on-failure",
        "--warnings=off",
        "--no-color",
        cwd=directory,
        env={
            **os.environ,
            "PYTHONPATH": str(CHECKOUT),
            "SCHEMATHESIS_HOOKS": "tests.api.fuzzing",
            "FUZZED_IDS": ",".join(ids),
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, said.decode(errors="replace")
