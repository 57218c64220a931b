"""`deploy/install` on a bare Debian, from the first time to the last, on its own PostgreSQL by peer login.

The tests follow each other on one machine.
"""

import json
import re
import time

import pytest

from tests.support.engine import DockerEngine
from tests.systemd.conftest import OWN_DATABASE, OWN_SERVER
from tests.systemd.machine import API, INSTALL, NEXT, SWEEPER, Machine

CURRENT = "/opt/healthsweep/current"
UNITS = ("healthsweep.target", "healthsweep-api.socket", API, SWEEPER)
POSTGRES = "postgresql@15-main.service"
KEPT = (
    "/etc/healthsweep/healthsweep.env /etc/healthsweep/credentials/ADMIN_TOKEN /var/lib/healthsweep/plugins"
)
SECURE = 1.5
"""The most that `systemd-analyze security` may find."""


@pytest.fixture(scope="module")
def machine(bare_machine: Machine) -> Machine:
    return bare_machine


def running_since(machine: Machine, *units: str) -> list[tuple[str, ...]]:
    """Since when they run: whatever is started anew shows here."""
    return [machine.shows(unit, "ActiveEnterTimestampMonotonic") for unit in units]


def version(machine: Machine) -> str:
    """The one that runs."""
    return machine.does(f"basename $(readlink {CURRENT})").strip()


def test_a_dry_run_names_every_step_and_changes_nothing(machine: Machine) -> None:
    before = machine.listing()
    said = machine.does(f"{INSTALL} --dry-run")
    assert machine.listing() == before
    assert len(re.findall(r"^  would  ", said, flags=re.MULTILINE)) == 15
    assert said.endswith("nothing was changed; 14 steps would be done\n")


async def test_the_first_install_is_ready_and_marks_a_workspace(
    machine: Machine, docker: DockerEngine
) -> None:
    began = time.monotonic()
    said = machine.does(INSTALL)
    assert machine.ready()
    ready_s = time.monotonic() - began
    assert re.search(
        r"^0\.1\.0\+[0-9a-f]{8} is ready at http://127\.0\.0\.1:8080, after \d+ s$", said, re.MULTILINE
    )
    added = json.loads(machine.does("healthsweep workspace add first --json"))
    await docker.container(f"ws-{added['id']}")
    machine.until(lambda: "online" in machine.does("healthsweep status"), what="it is online")
    marked_s = time.monotonic() - began
    print(f"\nready after {ready_s:.0f} s, the first workspace marked after {marked_s:.0f} s")
    assert marked_s < 180


def test_a_second_install_changes_nothing_and_says_so(machine: Machine) -> None:
    everything = (*UNITS, POSTGRES)
    listing, since = machine.listing(), running_since(machine, *everything)
    for how in ("", "--dry-run"):
        said = machine.does(f"{INSTALL} {how}")
        assert ("nothing to do: 0.1.0+" in said) or ("0 steps would be done" in said)
    assert running_since(machine, *everything) == since
    assert machine.listing() == listing


def test_the_units_are_sound_and_hold_their_security_scores(machine: Machine) -> None:
    verified = machine.run(f"systemd-analyze verify --recursive-errors=one {' '.join(UNITS)}")
    assert (verified.status, verified.stdout, verified.stderr) == (0, "", "")
    for unit in (API, SWEEPER):
        said = machine.does(f"systemd-analyze security --no-pager {unit}")
        print(f"\n{said.splitlines()[-1]}")
        score = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
        assert score
        assert float(score[1]) <= SECURE


def test_the_journal_has_our_lines_as_json_with_their_priority(machine: Machine) -> None:
    for unit in (API, SWEEPER):
        lines = [
            line
            for line in machine.journal(unit)
            if line["SYSLOG_IDENTIFIER"] == unit.removesuffix(".service")
        ]
        started = json.loads(lines[0]["MESSAGE"])
        assert (started["event"], lines[0]["PRIORITY"]) == ("process.started", "6")


def test_secrets_are_roots_alone_and_the_command_says_so(machine: Machine) -> None:
    modes = machine.does("stat --format '%a %U' /etc/healthsweep/credentials /etc/healthsweep/credentials/*")
    assert modes.split("\n")[:-1] == ["700 root", "600 root", "600 root"]
    as_nobody = "cd /tmp && setpriv --reuid=nobody --regid=nogroup --clear-groups"
    refused = machine.run(f"{as_nobody} healthsweep status")
    assert refused.status == 1
    assert refused.stderr.endswith("are root's: sudo healthsweep status\n")
    assert machine.does(f"{as_nobody} healthsweep --version") == "healthsweep 0.1.0\n"
    token = machine.does("cat /etc/healthsweep/credentials/ADMIN_TOKEN").strip()
    assert token not in machine.does("journalctl; systemctl show healthsweep-api; healthsweep config")
    assert [w["name"] for w in machine.ask("/workspaces", token=token).json] == ["first"]


def test_no_module_of_the_directory_that_it_is_called_in_is_run(machine: Machine) -> None:
    machine.does("mkdir -p /tmp/trap/shared && echo 'raise SystemExit(3)' >/tmp/trap/shared/__init__.py")
    machine.does("cd /tmp/trap && healthsweep status")


def test_a_refused_setting_is_not_started_again_and_the_status_says_why(machine: Machine) -> None:
    machine.does("echo SWEEP_INTERVAL=never >>/etc/healthsweep/healthsweep.env")
    machine.run(f"systemctl restart {SWEEPER}")
    machine.until(lambda: machine.shows(SWEEPER, "ActiveState") == ("failed",), what="it has failed")
    time.sleep(3)  # three times RestartSec
    assert machine.shows(SWEEPER, "ActiveState", "NRestarts", "ExecMainStatus") == ("failed", "0", "78")
    status = machine.run(f"systemctl status --no-pager --full {SWEEPER}").stdout
    assert '"event": "settings.invalid", "variable": "SWEEP_INTERVAL"' in status
    refused = machine.run(INSTALL)
    assert refused.status == 1
    assert "SWEEP_INTERVAL" in refused.stderr
    machine.does("sed -i '$d' /etc/healthsweep/healthsweep.env")
    assert "0.1.0+" in machine.does(INSTALL)
    assert machine.ready()


def test_an_upgrade_that_does_not_become_ready_is_taken_back(machine: Machine) -> None:
    before, postgres = version(machine), running_since(machine, POSTGRES)
    machine.does(NEXT)
    machine.does("echo 'raise SystemExit(\"broken on purpose\")' >>/root/next/api/app.py")
    refused = machine.run("bash /root/next/deploy/install")
    assert refused.status == 1
    assert version(machine) == before
    assert machine.ready()
    last = refused.stderr.strip().splitlines()[-1]
    assert re.fullmatch(
        rf"healthsweep: 0\.2\.0\+\w+ did not become ready \(.*broken on purpose\); "
        rf"{re.escape(before)} runs again",
        last,
    )
    assert running_since(machine, POSTGRES) == postgres


def test_an_upgrade_and_the_way_back(machine: Machine) -> None:
    before, postgres = version(machine), running_since(machine, POSTGRES)
    machine.does("sed -i '$d' /root/next/api/app.py")
    machine.does("bash /root/next/deploy/install")
    assert version(machine).startswith("0.2.0+")
    assert machine.ready()
    assert machine.does("healthsweep --version") == "healthsweep 0.2.0\n"
    unknown = machine.run("bash /root/next/deploy/install --version 7.0.0")
    assert unknown.status == 1
    assert before in unknown.stderr
    machine.does(f"bash {CURRENT}/deploy/install --version {before}")
    assert version(machine) == before
    assert machine.ready()
    assert running_since(machine, POSTGRES) == postgres


def test_an_interrupted_upgrade_is_taken_back(machine: Machine) -> None:
    """Also to the database before: another one was named with it."""
    before = version(machine)
    machine.does(OWN_SERVER)
    machine.does("echo 'import time; time.sleep(600)' >>/root/next/api/app.py")
    reached = f"until [[ $(readlink {CURRENT}) == */0.2.0* ]]; do sleep 0.1; done"
    machine.does(
        "bash /root/next/deploy/install >/dev/null 2>/root/said & "
        f"timeout 100 bash -c '{reached}'; sleep 1; kill -TERM $!; wait $! || echo $? >/root/status",
        DATABASE_URL=OWN_DATABASE,
    )
    said = machine.does("cat /root/said")
    assert said.endswith(f"did not become ready (it was interrupted); {before} runs again\n")
    assert machine.does("cat /root/status") == "130\n"
    assert version(machine) == before
    assert "@/healthsweep?" in machine.does("cat /etc/healthsweep/credentials/DATABASE_URL")
    assert machine.ready()
    machine.does("sed -i '$d' /root/next/api/app.py")


def test_a_version_that_has_migrated_is_not_taken_back(machine: Machine) -> None:
    """An older version refuses a newer schema: to go back to it would be a second outage."""
    machine.does(
        "echo 'CREATE TABLE healthsweep.later (id int);' >/root/next/shared/migrations/9999_later.sql"
    )
    machine.does("sed -i 's/0.2.0/0.3.0/' /root/next/shared/__init__.py")
    machine.does("echo 'raise SystemExit(\"broken on purpose\")' >>/root/next/api/app.py")
    before = version(machine)
    refused = machine.run("bash /root/next/deploy/install")
    assert refused.status == 1
    assert f"{before} would not start either (the database has 9999_later, " in refused.stderr
    assert version(machine).startswith("0.3.0+")
    refused = machine.run(f"bash /root/next/deploy/install --version {before}")
    assert refused.status == 1
    assert "9999_later" in refused.stderr
    assert version(machine).startswith("0.3.0+")
    machine.does("sed -i '$d' /root/next/api/app.py && bash /root/next/deploy/install")
    assert machine.ready()


def test_what_is_uninstalled_leaves_its_data_and_finds_it_again(machine: Machine) -> None:
    listing = machine.listing()
    assert "nothing was changed; 5 steps" in machine.does(f"{INSTALL} uninstall --dry-run")
    assert machine.listing() == listing
    said = machine.does(f"bash {CURRENT}/deploy/install uninstall")
    assert "settings and data stay" in said
    assert machine.run("ls /opt/healthsweep /usr/local/bin/healthsweep").stdout == ""
    assert machine.run("systemctl list-unit-files --no-legend 'healthsweep*'").stdout == ""
    machine.does(f"ls {KEPT}")
    assert "healthsweep is not installed" in machine.does(f"{INSTALL} uninstall")
    machine.does("bash /root/next/deploy/install")
    assert "first" in machine.does("healthsweep status")


def test_a_database_that_was_there_before_is_not_purged(machine: Machine) -> None:
    psql = "cd / && runuser -u postgres -- psql -qtAc"
    machine.does(f"{psql} \"COMMENT ON DATABASE healthsweep IS 'of somebody else'\"")
    said = machine.does(f"{INSTALL} uninstall --purge")
    assert said.endswith("the database healthsweep, which was here before, stays as it is\n")
    machine.does("bash /root/next/deploy/install")
    assert "first" in machine.does("healthsweep status")
    machine.does(f"{psql} \"COMMENT ON DATABASE healthsweep IS 'made by deploy/install'\"")


def test_what_is_purged_is_gone(machine: Machine) -> None:
    machine.does("mkdir /etc/systemd/system/healthsweep-api.socket.d")
    machine.does(f"{INSTALL} uninstall --purge")
    left = machine.does("find / -xdev -iname '*healthsweep*' -not -path '/var/log/*' -not -path '/root/*'")
    assert left == ""
    assert machine.run("getent passwd healthsweep; getent group healthsweep").stdout == ""
    psql = "cd / && runuser -u postgres -- psql -qtAc"
    assert machine.does(f"{psql} \"SELECT count(*) FROM pg_roles WHERE rolname = 'healthsweep'\"") == "0\n"
    assert machine.does(f"{psql} \"SELECT count(*) FROM pg_database WHERE datname = 'healthsweep'\"") == "0\n"
    assert "0 steps" in machine.does(f"{INSTALL} uninstall --purge --dry-run")
