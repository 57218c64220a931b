"""The file that tells other terminals about a running product."""

import subprocess
from pathlib import Path

import pytest

from deploy.home import kept_token, read_environment, write_environment

VALUES = {
    "DATABASE_URL": "postgresql://postgres@/postgres?host=/a%20b/postgres",
    "DOCKER_HOST": "unix:///with space/and 'quotes'/docker.sock",
    "ADMIN_TOKEN": "x$y#z=`&",
    "PORT": "8080",
}


def test_what_is_written_is_read_by_us_and_by_a_shell(tmp_path: Path) -> None:
    write_environment(tmp_path, VALUES)
    assert read_environment(tmp_path) == VALUES
    shell = ["sh", "-c", '. "$0"/env; printf "%s\\n" "$DATABASE_URL" "$DOCKER_HOST" "$ADMIN_TOKEN" "$PORT"']
    printed = subprocess.run([*shell, tmp_path], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == list(VALUES.values())


def test_plain_values_stand_without_quotes(tmp_path: Path) -> None:
    write_environment(tmp_path, VALUES)
    assert f"DATABASE_URL={VALUES['DATABASE_URL']}\n" in (tmp_path / "env").read_text()


def test_no_file_says_nothing(tmp_path: Path) -> None:
    assert read_environment(tmp_path) == {}
    assert kept_token(tmp_path) != kept_token(tmp_path)


def test_a_write_that_was_cut_short_does_not_stop_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "env.unfinished").write_text("PO")
    write_environment(tmp_path, VALUES)
    assert read_environment(tmp_path) == VALUES


@pytest.mark.parametrize("line", ["# a comment", "", "no assignment"])
def test_other_lines_are_passed_over(tmp_path: Path, line: str) -> None:
    (tmp_path / "env").write_text(f"{line}\nPORT=1\n")
    assert read_environment(tmp_path) == {"PORT": "1"}
