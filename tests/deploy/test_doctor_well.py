"""A host on which all is well: `deploy/run` as it is, on a real engine, with a workspace of each kind."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.deploy.operator import Operator
from tests.deploy.running import Running, starting
from tests.support.api import free_port
from tests.support.engine import DockerEngine

pytestmark = pytest.mark.usefixtures("processes")


@pytest.fixture
def product(home: Path, docker: DockerEngine) -> Iterator[Running]:
    environ = {
        "DOCKER_HOST": docker.host,
        "PORT": str(free_port()),
        "METRICS_PORT": str(free_port()),
        "SWEEP_INTERVAL": "1",
        "PUBLIC_URL": "https://sweep.example.org",
    }
    with starting(home, module="deploy.supervisor", **environ) as product:
        product.line("^ready ")
        yield product


async def test_all_is_green(product: Running, docker: DockerEngine) -> None:
    operator = Operator(product.home)
    workspace = str(uuid4())
    await docker.container(f"ws-{workspace}")
    await operator.does("workspace", "add", "reviewer", "--id", workspace)
    await operator.does("workspace", "add", "remote", "--runtime", "external")
    product.line('"workspace.marked_online"')
    ended = await operator.run("doctor", "--json", METRICS_PORT="")
    found = {check["name"]: check for check in ended.json["checks"]}
    not_ok = {name: check for name, check in found.items() if check["mark"] not in ("ok", "skipped")}
    # Debian's engine has an old number, and what its maintainers mended in it does not show in that.
    assert set(not_ok) <= {"engine safe", "time"}, not_ok
    assert (ended.status, ended.json["ok"]) == (0, True)
    assert {name for name, check in found.items() if check["mark"] == "skipped"} <= {"services", "time"}
    told = (await operator.run("doctor", METRICS_PORT="")).stdout
    assert "failed" not in told
    assert told.splitlines()[-1].startswith(f"{ended.json['marks']['ok']} ok")
