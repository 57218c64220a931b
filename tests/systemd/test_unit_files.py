"""What the unit files ask of systemd, with a shell script in the place of the services."""

import socket
import time
from collections.abc import Iterator
from functools import partial

import pytest

from tests.systemd.machine import Machine

SOCKET, API, SWEEPER = "healthsweep-api.socket", "healthsweep-api.service", "healthsweep-sweeper.service"
REFUSES = "exit 78"
CRASHES = "systemd-notify --ready; exit 1"
SERVES = "systemd-notify --ready; exec sleep 1000"
MORE_THAN_SYSTEMD_ALLOWS = 8
"""Starts of a unit; by itself it gives up after five within ten seconds."""


def program(machine: Machine, does: str) -> None:
    """What both services are from now on."""
    path = "/opt/healthsweep/current/.venv/bin/python"
    machine.does(f"printf '#!/bin/sh\\n%s\\n' '{does}' > {path} && chmod 755 {path}")


@pytest.fixture(scope="module")
def machine(bare_machine: Machine) -> Machine:
    """A host with the units, and without credentials or settings."""
    units = "/mnt/checkout/deploy/systemd"
    bare_machine.does(f"""
        set -e
        mkdir -p /opt/healthsweep/current/.venv/bin
        cp {units}/*.service {units}/*.socket {units}/*.target /etc/systemd/system/
        systemd-sysusers {units}/healthsweep.sysusers.conf
        systemd-tmpfiles --create {units}/healthsweep.tmpfiles.conf
        for service in {API} {SWEEPER}; do  # systemd-notify is a child of the script
            mkdir /etc/systemd/system/$service.d
            printf '[Service]\\nNotifyAccess=all\\n' > /etc/systemd/system/$service.d/test.conf
        done
        systemctl daemon-reload
        systemctl enable healthsweep.target {SOCKET} {API} {SWEEPER}
    """)
    return bare_machine


@pytest.fixture(autouse=True)
def stopped_afterwards(machine: Machine) -> Iterator[None]:
    yield
    machine.does("systemctl stop healthsweep.target; systemctl reset-failed")


def connect(machine: Machine) -> socket.socket:
    with machine.network():
        return socket.create_connection(("127.0.0.1", 8080), timeout=10)


def test_a_refused_setting_is_not_tried_again_for_each_request_that_waits(machine: Machine) -> None:
    program(machine, REFUSES)
    machine.does(f"systemctl start {SOCKET}")
    with connect(machine):
        machine.until(lambda: machine.shows(SOCKET, "ActiveState") == ("inactive",), what="it is closed")
        time.sleep(2)
        assert len(machine.journal(API, "--grep='^Starting '")) == 1
        assert machine.shows(API, "ActiveState", "NRestarts") == ("failed", "0")
    with pytest.raises(ConnectionRefusedError):
        connect(machine)
    for mending in (f"systemctl start {API}", "systemctl restart healthsweep.target"):
        refused = machine.run(f"systemctl start {API}")
        assert (refused.status, refused.stderr) == (1, f"Job for {API} canceled.\n")
        assert machine.shows(API, "ActiveState", "ExecMainStatus") == ("failed", "78")
        program(machine, SERVES)
        machine.does(mending)  # which opens the address again
        with connect(machine):
            machine.until(lambda: machine.shows(API, "ActiveState") == ("active",))
        program(machine, REFUSES)
        machine.does(f"systemctl stop healthsweep.target {SOCKET} {API}")


def test_an_api_that_crashes_again_and_again_is_restarted_for_ever_and_its_callers_wait(
    machine: Machine,
) -> None:
    program(machine, CRASHES)
    machine.does(f"systemctl start {SOCKET}")
    opened = machine.shows(SOCKET, "ActiveEnterTimestampMonotonic")

    def has_crashed_often() -> bool:
        with connect(machine):
            return int(machine.shows(API, "NRestarts")[0]) >= MORE_THAN_SYSTEMD_ALLOWS

    machine.until(has_crashed_often, what="started again and again")
    assert machine.shows(SOCKET, "ActiveState", "ActiveEnterTimestampMonotonic") == ("active", *opened)
    program(machine, SERVES)
    machine.until(lambda: machine.shows(API, "ActiveState", "SubState") == ("active", "running"))


def test_restarting_all_keeps_the_address_open_and_stopping_all_closes_it(machine: Machine) -> None:
    program(machine, SERVES)
    machine.does("systemctl start healthsweep.target")
    machine.until(lambda: machine.shows(SWEEPER, "ActiveState") == ("active",))
    opened = machine.shows(SOCKET, "ActiveEnterTimestampMonotonic")
    before = machine.shows(API, "MainPID"), machine.shows(SWEEPER, "MainPID")
    machine.does("systemctl restart healthsweep.target")
    machine.until(lambda: machine.shows(API, "ActiveState") == ("active",))
    assert machine.shows(SOCKET, "ActiveState", "ActiveEnterTimestampMonotonic") == ("active", *opened)
    assert all(
        was != now
        for was, now in zip(
            before, (machine.shows(API, "MainPID"), machine.shows(SWEEPER, "MainPID")), strict=True
        )
    )
    machine.does("systemctl stop healthsweep.target")  # which does not wait for the others
    for unit in (SOCKET, API, SWEEPER):
        machine.until(partial(is_stopped, machine, unit), what=f"{unit} is stopped")
    with pytest.raises(ConnectionRefusedError):
        connect(machine)


def is_stopped(machine: Machine, unit: str) -> bool:
    return machine.shows(unit, "ActiveState") == ("inactive",)
