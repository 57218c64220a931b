"""The README's commands, in their order, on a running demo: what it shows is what a newcomer sees."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.children import tied
from tests.support.api import free_port
from tests.support.engine import DockerEngine

CHECKOUT = Path(__file__).resolve().parents[2]
PATIENCE_S = 90.0


def blocks() -> list[str]:
    """The shell blocks of the README, without the one that starts the product and the tests."""
    found = re.findall(r"```sh\n(.*?)```", (CHECKOUT / "README.md").read_text(), flags=re.DOTALL)
    return [block for block in found if not block.startswith("bash deploy/")]


@pytest.fixture
async def demo(docker: DockerEngine, short_directory: Path) -> AsyncIterator[dict[str, str]]:
    """The demo, as `bash deploy/run --demo` starts it, on an engine of the tests'."""
    environ = {
        **os.environ,
        "HEALTHSWEEP_HOME": str(short_directory / "run"),
        "DOCKER_HOST": docker.host,
        "PORT": str(free_port()),
        "METRICS_PORT": "0",
        "SWEEP_INTERVAL": "1",
    }
    command = tied([sys.executable, "-m", "deploy.supervisor", "--demo"])
    supervisor = await asyncio.create_subprocess_exec(
        *command, cwd=CHECKOUT, env=environ, stdout=asyncio.subprocess.PIPE
    )
    assert supervisor.stdout
    async with asyncio.timeout(PATIENCE_S):
        while b"start ws-" not in await supervisor.stdout.readline():
            assert supervisor.returncode is None
    rest = asyncio.create_task(supervisor.stdout.read())
    try:
        yield environ
    finally:
        supervisor.send_signal(signal.SIGINT)
        assert await supervisor.wait() == 0
        await rest
        names = [row["Names"][0] for row in (await docker.request("GET", "/containers/json?all=1"))[1]]
        for name in names:
            await docker.request("DELETE", f"/containers{name}?force=true&v=true")


async def test_every_command_of_the_readme_does_what_it_says(
    demo: dict[str, str], short_directory: Path
) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while "demo-3" not in (said := await _run("healthsweep status", demo)) or said.count("online") < 3:
            await asyncio.sleep(0.5)
    script = "set -e\n" + "\n".join(f"{block}\necho; echo '--- end of block'\n" for block in blocks())
    # The checkout of a reader has .run, .venv and a hello.tar.gz afterwards; this one must not.
    script = script.replace(".run/", f"{demo['HEALTHSWEEP_HOME']}/")
    script = script.replace("hello.tar.gz", f"{short_directory}/hello.tar.gz")
    answers = (await _run(script, demo)).split("--- end of block")
    status, install, installed, killed, external, swept, _ = answers
    assert "demo-external" in status
    assert json.loads(install)["status"] == "installed"
    assert [plugin["name"] for plugin in json.loads(installed)] == ["hello"]
    assert json.loads(killed.strip().splitlines()[-1])["code"] == "container_not_running"
    assert '"code": "external_runtime"' in external
    assert "hooks/greet.sh" in external
    assert "checked" in swept


async def _run(script: str, environ: dict[str, str]) -> str:
    """What `script` prints, in the checkout, with the `healthsweep` of these tests."""
    here = Path(sys.executable).parent
    script = script.replace(".venv/bin/healthsweep", "healthsweep")
    script = re.sub(
        r"\bhealthsweep (status|workspace|sweep)", rf"{sys.executable} -m deploy.command \1", script
    )
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        script,
        cwd=CHECKOUT,
        env={**environ, "PATH": f"{here}:{os.environ['PATH']}"},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()
