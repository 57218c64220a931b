"""The services on a host, and what happens to them: kills, restarts, an absent database, plugins.

The database is one that was there before, so that `deploy/install` was given a DATABASE_URL.
"""

import json
import re
import threading
import time
from pathlib import Path

import pytest

from tests.support.engine import DockerEngine
from tests.support.forge import Forge
from tests.systemd.conftest import OWN_DATABASE
from tests.systemd.machine import API, INSTALL, SWEEPER, Machine

AFTER_A_RESTART_S = 5.0
LONGEST_RUN_S = 3600.0
REQUESTS, CLIENTS = 1000, 8
PLUGIN = {"plugin.yaml": b"name: fetched\nversion: 1.0.0\ndescription: from a forge\n"}


@pytest.fixture(scope="module")
def machine(installed: Machine) -> Machine:
    return installed


@pytest.fixture(scope="module")
def token(machine: Machine) -> str:
    return machine.does("cat /etc/healthsweep/credentials/ADMIN_TOKEN").strip()


def add(machine: Machine, name: str) -> str:
    """The id of a new workspace."""
    added = json.loads(machine.does(f"healthsweep workspace add {name} --json"))
    return str(added["id"])


def status_of(machine: Machine, workspace_id: str) -> tuple[str, str]:
    """Its status, and why."""
    rows = json.loads(machine.does("healthsweep status --json"))
    (row,) = (row for row in rows if row["id"] == workspace_id)
    return row["status"], row["status_reason"]


def test_the_database_that_was_named_is_used(machine: Machine) -> None:
    assert machine.ready()
    tables = 'cd / && runuser -u postgres -- psql -tAc "SELECT count(*) FROM workspaces" platform'
    assert machine.does(tables) == "0\n"
    assert "nothing to do" in machine.does(INSTALL)


@pytest.mark.parametrize("unit", [API, SWEEPER])
def test_the_journal_shows_warnings_alone_where_it_is_asked_for_them(machine: Machine, unit: str) -> None:
    """The api's are of a wrong token; the sweeper has none here, see also test_hangs.py."""
    assert machine.ask("/workspaces", token="a-wrong-one").status == 401
    own = f"--identifier={unit.removesuffix('.service')}"
    everything = [json.loads(entry["MESSAGE"]) for entry in machine.journal(unit, own)]
    shown = [json.loads(entry["MESSAGE"]) for entry in machine.journal(unit, own, "--priority=warning")]
    assert "info" in {line["level"] for line in everything}
    assert shown == [line for line in everything if line["level"] not in ("debug", "info")]
    assert ("auth.rejected" in {line["event"] for line in shown}) == (unit == API)


def test_a_database_that_cannot_be_used_is_not_taken(machine: Machine) -> None:
    before = machine.listing()
    for url in ("mysql://somewhere/else", f"{OWN_DATABASE}-of-nobody"):
        refused = machine.run(INSTALL, DATABASE_URL=url)
        assert refused.status == 1
        assert refused.stderr.startswith("healthsweep: healthsweep migrate failed")
        assert len(refused.stderr.splitlines()) == 1
    assert machine.listing() == before
    assert "nothing to do" in machine.does(INSTALL)


def test_a_settings_file_that_cannot_be_read_is_named(machine: Machine) -> None:
    settings = "/etc/healthsweep/healthsweep.env"
    machine.does(f"cp -p {settings} /root && echo 'LOG_LEVEL=\"' >>{settings}")
    for command in (INSTALL, "healthsweep status"):
        refused = machine.run(command)
        assert refused.status == 1
        assert refused.stderr == f"healthsweep: {settings} cannot be read: No closing quotation\n"
    machine.does(f"cp -p /root/healthsweep.env {settings}")


@pytest.mark.parametrize("port", [8080, 9108])
def test_each_service_tells_since_when_it_runs(machine: Machine, port: int) -> None:
    asking = (
        f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}/metrics').read().decode())"
    )
    told = re.search(
        r"^process_start_time_seconds (\S+)$", machine.does(f'python3 -c "{asking}"'), re.MULTILINE
    )
    assert told
    assert 0 < time.time() - float(told[1]) < LONGEST_RUN_S


@pytest.mark.parametrize("unit", [API, SWEEPER])
def test_a_killed_service_is_ready_again(machine: Machine, unit: str) -> None:
    (pid, restart_us) = machine.shows(unit, "MainPID", "RestartUSec")
    assert restart_us == "1s"
    machine.does(f"kill -9 {pid}")

    def is_replaced() -> bool:
        return machine.shows(unit, "MainPID") != (pid,) and machine.ready()

    seconds = machine.until(is_replaced, what="all is ready again")
    print(f"\n{unit} killed, ready again after {seconds:.1f} s")
    assert seconds < 1 + AFTER_A_RESTART_S


def test_a_thousand_requests_over_a_restart_of_the_api_are_all_answered(machine: Machine) -> None:
    (pid,) = machine.shows(API, "MainPID")
    answers: list[int | Exception] = []

    def client() -> None:
        for _ in range(REQUESTS // CLIENTS):
            try:
                answers.append(machine.ask("/health").status)
            except Exception as problem:  # noqa: BLE001 - whatever it is, it is a failure of the test
                answers.append(problem)

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for each in clients:
        each.start()
    while len(answers) < REQUESTS // 4:
        time.sleep(0.001)
    machine.does(f"systemctl restart {API}")
    during = len(answers)
    for each in clients:
        each.join()
    assert machine.shows(API, "MainPID") != (pid,)
    assert REQUESTS // 4 <= during < REQUESTS
    assert answers == [200] * REQUESTS


def test_a_database_that_is_away_is_waited_for(machine: Machine) -> None:
    machine.does(f"systemctl stop {API} {SWEEPER} && systemctl stop postgresql@15-main")
    machine.does(f"systemctl start --no-block {SWEEPER} && systemctl start --no-block {API}")
    try:
        machine.until(lambda: bool(machine.log(SWEEPER, "database.unreachable")), what="the sweeper waits")
        time.sleep(5)
        for unit in (API, SWEEPER):
            assert machine.shows(unit, "ActiveState", "NRestarts") == ("activating", "0")
    finally:
        machine.does("systemctl start postgresql@15-main")
    machine.until(machine.ready, what="all is ready")


async def test_a_killed_container_is_marked_offline(machine: Machine, docker: DockerEngine) -> None:
    workspace_id = add(machine, "killed")
    container = await docker.container(f"ws-{workspace_id}")
    machine.until(lambda: status_of(machine, workspace_id)[0] == "online", what="it is online")
    await container.kill()
    machine.until(lambda: status_of(machine, workspace_id) == ("offline", "exited"), what="it is offline")
    (line,) = machine.log(SWEEPER, "workspace.marked_offline", workspace_id=workspace_id)
    assert line["exit_code"] == 137


async def test_a_plugin_goes_into_a_container(machine: Machine, docker: DockerEngine, token: str) -> None:
    workspace_id = add(machine, "local-plugin")
    await docker.container(f"ws-{workspace_id}")
    machine.does("cp -r /opt/healthsweep/current/docs/plugins/hello /var/lib/healthsweep/plugins/")
    plugins = f"/workspaces/{workspace_id}/plugins"
    answer = machine.ask(plugins, token=token, body={"source": "local://hello"})
    assert (answer.status, answer.json["status"]) == (200, "installed"), answer.body
    assert [plugin["name"] for plugin in machine.ask(plugins, token=token).json] == ["hello"]


async def test_a_plugin_comes_from_a_forge(
    machine: Machine, docker: DockerEngine, token: str, tmp_path: Path
) -> None:
    with machine.network():
        forge = Forge(tmp_path)
    with forge:
        forge.repository("owner/fetched").commit(PLUGIN, tag="v1")
        machine.does(f"echo GITHUB_BASE_URL={forge.url} >>/etc/healthsweep/healthsweep.env")
        machine.does(f"systemctl restart {API}")
        workspace_id = add(machine, "github-plugin")
        await docker.container(f"ws-{workspace_id}")
        plugins = f"/workspaces/{workspace_id}/plugins"
        answer = machine.ask(plugins, token=token, body={"source": "github://owner/fetched#v1"})
        assert (answer.status, answer.json["status"]) == (200, "installed"), answer.body
        assert [plugin["name"] for plugin in machine.ask(plugins, token=token).json] == ["fetched"]
