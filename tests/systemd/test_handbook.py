"""The handbook's commands that need an installed host, on one: page after page, as somebody would type them.

The host begins with a platform's database, so the first week comes first.
"""

import json
import shlex
from uuid import uuid4

import pytest

from shared.ids import container_name
from tests.handbook.pages import blocks
from tests.support.engine import DockerEngine
from tests.support.postgres import platform_schema
from tests.systemd.conftest import OWN_DATABASE, OWN_SERVER
from tests.systemd.machine import API, SWEEPER, Machine

DEAD = uuid4()
"""A workspace that the platform's row calls online, and whose container has ended."""

SETTINGS, PLUGIN = "/etc/healthsweep/healthsweep.env", "/var/lib/healthsweep/plugins/kept"

DOCKER_UNIT = """
printf '[Service]\nExecStart=/bin/sleep infinity\n' >/etc/systemd/system/docker.service
systemctl daemon-reload && systemctl start docker
"""
"""The engine is outside of the machine: this stands where a host has it."""


@pytest.fixture(scope="module")
def machine(bare_machine: Machine) -> Machine:
    bare_machine.does(OWN_SERVER + DOCKER_UNIT)
    bare_machine.does(f"psql -q {shlex.quote(OWN_DATABASE)} <<'END'\n{platform_schema('text')}\nEND")
    sql = f"INSERT INTO workspaces (id, name, status) VALUES ('{DEAD}', 'billing-bot', 'online')"
    bare_machine.does(f"psql -q {shlex.quote(OWN_DATABASE)} -c {shlex.quote(sql)}")
    return bare_machine


_END = "--- the end of a block ---"


def run(machine: Machine, commands: list[str], **environment: str) -> list[str]:
    """All in one shell; what each prints."""
    known = {"NAME": "billing-bot", "ID": str(DEAD), **environment}
    settings = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in known.items())
    script = "".join(f"{command}\necho; echo {shlex.quote(_END)}\n" for command in commands)
    return machine.does(f"set -euo pipefail\n{settings}{script}").split(f"\n{_END}\n")[:-1]


def status(machine: Machine) -> str:
    (row,) = json.loads(machine.does("healthsweep status --json"))
    return str(row["status"])


async def test_the_first_week(machine: Machine, docker: DockerEngine) -> None:
    await docker.container(container_name(DEAD), state="exited")
    install, first_look, compare, why, write, hand_over = blocks("first-week.md", on="host")
    run(machine, [install], CHECKOUT="/mnt/checkout", PLATFORM_DATABASE_URL=OWN_DATABASE)
    settings = machine.does(f"cat {SETTINGS}")
    assert settings.startswith("# Settings of healthsweep")
    assert settings.endswith("\nSWEEP_WRITE=off\n")
    assert "\n#SWEEP_INTERVAL=" in settings
    assert machine.does(f"stat --format '%a %G' {SETTINGS}") == "640 healthsweep\n"
    machine.until(lambda: "would_mark" in machine.does(f"journalctl -u {SWEEPER}"), what="it would mark")
    run(machine, [first_look])
    assert [said.strip() for said in run(machine, [compare])] == [f"1 {DEAD} offline exited"]
    assert "SWEEP_WRITE is off" in run(machine, [why])[0]
    assert status(machine) == "online"
    run(machine, [write])
    machine.until(lambda: status(machine) == "offline", what="it is marked")
    run(machine, [hand_over])


async def test_troubleshooting(machine: Machine) -> None:
    token = machine.does("cat /etc/healthsweep/credentials/ADMIN_TOKEN").strip()
    assert machine.ask(f"/workspaces/{DEAD}/plugins", token=token).status == 200
    lines = [json.loads(entry["MESSAGE"]) for entry in machine.journal(API, "--identifier=healthsweep-api")]
    request = next(line["request_id"] for line in lines if line["event"] == "request.completed")
    commands = blocks("troubleshooting.md", on="host")
    said = dict(zip(commands, run(machine, commands, REQUEST_ID=request), strict=True))
    (about_the_request,) = (text for command, text in said.items() if "--request" in command)
    assert request in about_the_request
    assert "request.completed" in about_the_request
    (of_the_last_hour,) = (text for command, text in said.items() if "triage --since 1h" in command)
    assert "billing-bot" in of_the_last_hour or str(DEAD) in of_the_last_hour
    assert machine.ready()


def test_tokens(machine: Machine) -> None:
    """No request is lost, an old token is refused from then on, and the new one opens."""
    old = machine.does("cat /etc/healthsweep/credentials/ADMIN_TOKEN").strip()
    assert machine.ask("/workspaces", token=old).status == 200
    run(machine, blocks("tokens.md", on="host"))
    new = machine.does("cat /etc/healthsweep/credentials/ADMIN_TOKEN").strip()
    assert old != new
    assert machine.ask("/workspaces", token=old).status == 401
    assert machine.ask("/workspaces", token=new).status == 200
    modes = machine.does("stat --format '%a %U' /etc/healthsweep/credentials/ADMIN_TOKEN")
    assert modes == "600 root\n"


def test_proxy(machine: Machine) -> None:
    run(machine, blocks("proxy.md", on="host"))
    assert machine.ready()
    assert "https://agents.example.org" in machine.does("healthsweep config")
    machine.does("sed -i '/^PUBLIC_URL=/d; /^TRUSTED_PROXIES=/d' " + SETTINGS)


def test_backup(machine: Machine) -> None:
    """What happened since is undone: a row, a setting and a plugin come back."""
    save, look, restore = blocks("backup.md", on="host")
    machine.does(f"mkdir -p {PLUGIN} && echo LOG_LEVEL=debug >>{SETTINGS}")
    run(machine, [save, look])
    machine.does(f"rm -r {PLUGIN} && sed -i '/^LOG_LEVEL=/d' {SETTINGS}")
    machine.does(f"psql -q {shlex.quote(OWN_DATABASE)} -c 'DROP TABLE healthsweep.history'")
    run(machine, [restore])
    assert machine.ready()
    machine.does(f"test -d {PLUGIN} && grep -q '^LOG_LEVEL=debug' {SETTINGS}")
    assert machine.does("healthsweep why billing-bot | grep ^because")
