"""`healthsweep doctor` on a host: well after an install, and what it finds of systemd's there."""

import json
from typing import Any

import pytest

from tests.systemd.machine import API, SWEEPER, Machine

OLD_OR_ALONE = {"engine safe", "time"}
"""The engine outside has the number of Debian's, and a machine without a network has no time server."""

MOVE_THE_SOCKET = f"""
set -e
cd /etc/systemd/system && mkdir healthsweep-api.socket.d
printf '[Socket]\\nListenStream=\\nListenStream=0.0.0.0:8081\\n' >healthsweep-api.socket.d/a.conf
systemctl daemon-reload
systemctl stop {API}
systemctl restart healthsweep-api.socket
systemctl start {API}
"""


@pytest.fixture(scope="module")
def machine(installed: Machine) -> Machine:
    return installed


def findings(machine: Machine) -> dict[str, Any]:
    """What it finds, by the names of the checks."""
    ended = machine.run("healthsweep doctor --json")
    found = {check["name"]: check for check in json.loads(ended.stdout)["checks"]}
    assert ended.status == any(check["mark"] == "failed" for check in found.values())
    return found


def test_a_host_after_an_install_is_well(machine: Machine) -> None:
    machine.until(machine.ready, what="all is ready")
    found = findings(machine)
    amiss = {name: check for name, check in found.items() if check["mark"] in ("warning", "failed")}
    assert set(amiss) <= OLD_OR_ALONE, amiss
    assert found["services"]["says"] == "both services are active and enabled"
    assert found["engine socket"]["mark"] == "ok"  # as the services' user, which the command becomes


def test_a_service_that_was_stopped(machine: Machine) -> None:
    machine.does(f"systemctl stop {SWEEPER}")
    services = findings(machine)["services"]
    assert (services["mark"], services["says"]) == ("failed", f"not active: {SWEEPER}")
    machine.does(services["mend"].partition(";")[0])
    assert findings(machine)["services"]["mark"] == "ok"


def test_a_service_that_had_to_be_started_again(machine: Machine) -> None:
    (pid,) = machine.shows(API, "MainPID")
    machine.does(f"kill -9 {pid}")
    machine.until(
        lambda: machine.shows(API, "MainPID") != (pid,) and machine.ready(), what="it is ready again"
    )
    services = findings(machine)["services"]
    assert (services["mark"], services["says"]) == ("warning", f"had to be started again: {API} 1 time")
    machine.does(services["mend"].partition("then ")[2])
    assert findings(machine)["services"]["mark"] == "ok"


def test_a_target_that_does_not_start_with_the_host(machine: Machine) -> None:
    machine.does("systemctl disable healthsweep.target")
    services = findings(machine)["services"]
    assert services["mark"] == "warning"
    machine.does(services["mend"])
    assert findings(machine)["services"]["mark"] == "ok"


def test_a_setting_that_is_misspelt(machine: Machine) -> None:
    machine.does("echo SWEEP_INTERVALL=5 >>/etc/healthsweep/healthsweep.env")
    assert "SWEEP_INTERVALL (is it SWEEP_INTERVAL?)" in findings(machine)["settings known"]["says"]


def test_the_api_at_another_address(machine: Machine) -> None:
    """Where systemd listens for it, and not where a setting says."""
    machine.does("healthsweep workspace add remote --runtime external")
    assert "listens at 127.0.0.1, for this host alone" in findings(machine)["agents can call"]["says"]
    machine.does(MOVE_THE_SOCKET)
    found = findings(machine)
    assert found["api"]["says"] == "the api answers at http://127.0.0.1:8081"
    assert found["agents can call"]["mark"] == "ok"
