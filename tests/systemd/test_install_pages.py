"""The commands of the pages about installing and upgrading, in their order, on a machine that is new."""

import shlex
from collections.abc import Sequence

import pytest

from tests.handbook.pages import blocks
from tests.systemd.conftest import OWN_DATABASE, OWN_SERVER
from tests.systemd.debian import WHEELS
from tests.systemd.machine import NEXT, Machine


@pytest.fixture(scope="module")
def machine(bare_machine: Machine) -> Machine:
    return bare_machine


def types(machine: Machine, commands: Sequence[str], **environment: str) -> str:
    """What they print, typed into one shell in the checkout; each must succeed."""
    given = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    return machine.does("\n".join(["set -euo pipefail; cd /mnt/checkout", *given, *commands]))


def test_install(machine: Machine) -> None:
    said = types(machine, blocks("install.md", on="host")[:3], CHECKOUT="/mnt/checkout")
    assert "nothing was changed" in said
    assert " is ready at http://127.0.0.1:8080, after " in said
    assert "0 failed" in said or "failed" not in said
    assert machine.ready()


def test_upgrade(machine: Machine) -> None:
    machine.does(NEXT)
    upgrade, which, back, again, remove = blocks("upgrade.md", on="host")
    before = types(machine, [which]).strip()
    types(machine, [upgrade], NEW_CHECKOUT="/root/next")
    after = types(machine, [which]).strip()
    assert after.startswith("0.2.0+")
    types(machine, [back], VERSION=before)
    assert types(machine, [which]).strip() == before
    assert "nothing to do" in types(machine, [again])
    types(machine, [remove], OLD_VERSION=after)
    assert machine.does("ls /opt/healthsweep/versions").split() == [before]
    assert machine.ready()


def test_a_python_that_is_gone_is_built_anew(machine: Machine) -> None:
    """As after an upgrade of Debian: the environment was made by another Python."""
    place = machine.does("readlink /opt/healthsweep/current").strip()
    machine.does(f"echo '3.9.2 of an older Debian' >{place}/.complete && rm -r {place}/.venv/lib")
    types(machine, [blocks("upgrade.md", on="host")[3]])
    assert machine.ready()


def test_what_else_there_is_to_install(machine: Machine) -> None:
    machine.does(OWN_SERVER)
    own, restart, address, from_wheels, uninstall, purge = blocks("install.md", on="host")[3:]
    types(machine, [own], OWN_DATABASE_URL=OWN_DATABASE)
    kept = "cat /etc/healthsweep/credentials/DATABASE_URL"
    assert machine.does(kept) == f"{OWN_DATABASE}\n"
    assert machine.ready()
    types(machine, [restart])
    machine.until(machine.ready, what="ready after the restart")
    types(machine, [address])
    assert "is ready at http://127.0.0.1:8090" in types(machine, [from_wheels], WHEELS=WHEELS)
    assert machine.run("exec 3<>/dev/tcp/127.0.0.1/8080").status == 1
    types(machine, [uninstall])
    assert machine.run("ls /opt/healthsweep").status == 2
    assert machine.does(kept) == f"{OWN_DATABASE}\n"
    types(machine, [purge])
    assert machine.run("ls /etc/healthsweep /var/lib/healthsweep").stdout == ""
