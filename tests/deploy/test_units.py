"""The units of a host as they are shipped: systemd takes every word of them, and they fit the code."""

import os
import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from api.app import DRAIN_S
from api.turns import LEAVING_S
from shared.errors import SettingsError
from shared.process import EX_CONFIG
from shared.settings import Settings, about
from tests.support.processes import CHECKOUT

UNITS = CHECKOUT / "deploy" / "systemd"
SERVICES = ("healthsweep-sweeper.service", "healthsweep-api.service")
ALL = (*SERVICES, "healthsweep-api.socket", "healthsweep.target")
WORST_SCORE = 1.5

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="systemd's programs want root for another root")


def values(unit: str, key: str) -> list[str]:
    """What the unit says of `key`, each time that it does."""
    text = (UNITS / unit).read_text()
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def ran(*command: str) -> tuple[int, str]:
    """The exit status, and all that was said."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """The root of a host with systemd's units, with ours, and with programs for them to start."""
    shutil.copytree("/lib/systemd/system", tmp_path / "usr/lib/systemd/system", symlinks=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    ours = tmp_path / "etc/systemd/system"
    ours.mkdir(parents=True)
    for unit in ALL:
        shutil.copy(UNITS / unit, ours)
    started = [line for service in SERVICES for line in values(service, "Exec(?:Start|StopPost)")]
    for line in started:
        program = tmp_path / line.split()[0].lstrip("+/")
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    return tmp_path


def verified(host: Path) -> tuple[int, str]:
    return ran("systemd-analyze", "verify", "--recursive-errors=one", "--man=no", f"--root={host}", *ALL)


def test_systemd_takes_every_word_of_them(host: Path) -> None:
    assert verified(host) == (0, "")


def test_a_word_that_systemd_does_not_know_is_found(host: Path) -> None:
    unit = host / "etc/systemd/system" / SERVICES[0]
    unit.write_text(unit.read_text().replace("UMask=", "UMaks="))
    status, said = verified(host)
    assert status != 0
    assert "Unknown key 'UMaks'" in said


@pytest.mark.parametrize("service", SERVICES)
def test_they_are_hardened(service: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = ran("systemd-analyze", "security", "--offline=true", "--no-pager", str(UNITS / service))
    score = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", said)
    assert status == 0
    assert score, said
    with capsys.disabled():
        print(f"\n{service} scores {score[1]} in systemd-analyze security")
    assert float(score[1]) <= WORST_SCORE, said


@pytest.mark.parametrize("unit", ALL)
def test_they_are_complete_as_they_stand(unit: str) -> None:
    text = (UNITS / unit).read_text()
    assert not re.findall(r"@\w+@|\{\{|\$\{|<[A-Za-z_]+>|%[a-zA-Z]|TODO|example\.com", text)


@pytest.mark.parametrize("service", SERVICES)
def test_what_they_name_are_settings(service: str) -> None:
    variables = [value.partition("=")[0] for value in values(service, "Environment")]
    variables.remove("PYTHONFAULTHANDLER")  # the interpreter's own
    for variable in variables:
        assert about(variable)
    secrets = [f.name.upper() for f in fields(Settings) if f.metadata["secret"]]
    if "sweeper" in service:
        secrets.remove("ADMIN_TOKEN")  # nobody calls it
    for key in ("LoadCredential", "SetCredential"):
        assert sorted(value.partition(":")[0] for value in values(service, key)) == sorted(secrets)
    for value in values(service, "LoadCredential"):
        assert Path(value.partition(":")[2]).name == value.partition(":")[0]


def test_the_socket_is_where_the_settings_say_that_the_api_is() -> None:
    defaults = Settings()
    assert values("healthsweep-api.socket", "ListenStream") == [f"{defaults.bind_address}:{defaults.port}"]


def test_nobody_is_hurried_or_started_in_vain() -> None:
    sweeper, api = SERVICES
    for service in SERVICES:
        assert values(service, "RestartPreventExitStatus") == [str(EX_CONFIG)]
        assert values(service, "TimeoutStartSec") == ["infinity"]  # a database may come late
    assert float(values(api, "TimeoutStopSec")[0]) >= DRAIN_S + LEAVING_S + 10
    (patience,) = values(sweeper, "WatchdogSec")
    with pytest.raises(SettingsError):  # no answer of Docker's may take so long
        Settings.load({"ENGINE_TIMEOUT": patience})


def test_the_user_and_the_directories_are_made(tmp_path: Path) -> None:
    root = f"--root={tmp_path}"
    (tmp_path / "etc").mkdir()
    assert ran("systemd-sysusers", root, str(UNITS / "healthsweep.sysusers.conf"))[0] == 0
    # The names are those of the other root, whose owners only systemd can look up.
    passwd, groups = ((tmp_path / "etc" / name).read_text() for name in ("passwd", "group"))
    assert re.search(r"^healthsweep:x:\d+:\d+:healthsweep:/var/lib/healthsweep:", passwd, re.MULTILINE)
    assert re.search(r"^docker:x:\d+:healthsweep$", groups, re.MULTILINE)
    owned = (UNITS / "healthsweep.tmpfiles.conf").read_text().replace("healthsweep healthsweep", "root root")
    (tmp_path / "tmpfiles.conf").write_text(owned)
    assert ran("systemd-tmpfiles", root, "--create", str(tmp_path / "tmpfiles.conf")) == (0, "")
    for service in SERVICES:
        (user,), (state,) = values(service, "User"), values(service, "StateDirectory")
        (mode,) = values(service, "StateDirectoryMode")
        assert user == "healthsweep"
        assert (tmp_path / "var/lib" / state).stat().st_mode & 0o777 == int(mode, 8)
        for value in values(service, "LoadCredential"):
            directory = tmp_path / value.partition(":")[2].removeprefix("/")
            assert directory.parent.stat().st_mode & 0o777 == 0o700
