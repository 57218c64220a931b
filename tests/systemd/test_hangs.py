"""What hangs: Docker for two minutes, which is no reason for anything, and a service, which is one."""

import re
import time
from functools import partial

import pytest

from tests.support.engine import DockerEngine
from tests.systemd.machine import API, SWEEPER, Machine

DOCKER_HANGS_S = 120.0
AFTER_THE_WATCHDOG_S = 5.0


@pytest.fixture(scope="module")
def machine(installed: Machine) -> Machine:
    return installed


@pytest.mark.timeout(400)
def test_a_docker_that_hangs_restarts_nothing_and_its_warnings_are_warnings(
    machine: Machine, docker: DockerEngine
) -> None:
    machine.does("healthsweep workspace add in-a-container")  # or nobody would ask Docker
    before = {unit: machine.shows(unit, "MainPID", "NRestarts") for unit in (API, SWEEPER)}
    docker.pause()
    try:
        time.sleep(DOCKER_HANGS_S)
        assert {unit: machine.shows(unit, "MainPID", "NRestarts") for unit in (API, SWEEPER)} == before
        assert machine.ready()
    finally:
        docker.resume()
    machine.until(lambda: bool(machine.log(SWEEPER, "engine.recovered")), what="Docker is seen again")
    (line,) = machine.journal(SWEEPER, "--priority=warning")
    assert '"event": "engine.unreachable"' in line["MESSAGE"]
    assert line["PRIORITY"] == "4"


@pytest.mark.timeout(400)
def test_a_service_that_hangs_is_replaced(machine: Machine) -> None:
    """The api's watchdog is the shorter one; both hang at once, so that the waits are one."""
    pids = {unit: machine.shows(unit, "MainPID")[0] for unit in (API, SWEEPER)}
    machine.does(f"kill -STOP {' '.join(pids.values())}")
    began = time.monotonic()
    for unit, pid in pids.items():
        longest = watchdog_s(machine, unit) + AFTER_THE_WATCHDOG_S
        machine.until(partial(is_replaced, machine, unit, pid), seconds=longest, what=f"another {unit}")
        took = time.monotonic() - began
        print(f"\n{unit} hung, replaced after {took:.1f} s")
        assert took < longest
        assert machine.shows(unit, "NRestarts") == ("1",)
        stacks = machine.does(f"journalctl --output=cat --unit={unit} _PID={pid}")
        assert "Fatal Python error: Aborted" in stacks
        assert re.search(r'File "\S+/asyncio/base_events\.py", line \d+ in run_forever', stacks)
    assert machine.ready()


def is_replaced(machine: Machine, unit: str, pid: str) -> bool:
    state, another = machine.shows(unit, "ActiveState", "MainPID")
    return state == "active" and another != pid


def watchdog_s(machine: Machine, unit: str) -> float:
    """Its WatchdogSec, which systemd writes as `1min 30s`."""
    (span,) = machine.shows(unit, "WatchdogUSec")
    units = {"min": 60.0, "s": 1.0}
    return sum(float(number) * units[word] for number, word in re.findall(r"(\d+)(min|s)", span))
