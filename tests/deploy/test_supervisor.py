"""`bash deploy/run` behind the virtual environment: what starts, what ends, and in which order."""

import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from tests.deploy.running import running, starting, until
from tests.support.remains import living

ELSEWHERE = {"DATABASE_URL": "postgresql://elsewhere/db"}
"""Where the test is not about PostgreSQL: none is started then."""


async def test_one_line_says_that_all_are_ready_and_a_file_tells_other_terminals(home: Path) -> None:
    with running(home, METRICS_PORT="9333", PORT="8333") as product:
        ready = [line for line in product.log.splitlines() if line.startswith("ready")]
        assert ready == [f"ready url=http://127.0.0.1:8333 home={home}"]
        assert product.log.index("sweeper started") < product.log.index("api started")
        environment = product.environment
        connection = await asyncpg.connect(environment["DATABASE_URL"])
        assert await connection.fetchval("SHOW fsync") == "on"
        assert await connection.fetchval("SHOW server_encoding") == "UTF8"
        await connection.close()
    assert environment["PORT"] == "8333"
    assert environment["METRICS_PORT"] == "9333"
    assert environment["DOCKER_HOST"] == f"unix://{home}/no-engine.sock"
    assert len(environment["ADMIN_TOKEN"]) >= 40
    assert stat.S_IMODE((home / "env").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_in_the_opposite_order(home: Path, number: signal.Signals) -> None:
    with running(home) as product:
        children = product.children()
        product.signal(number)
        assert product.ended() == 0
        assert not living().keys() & children
        ends = ["^api stopped by SIGTERM", "^sweeper stopped by SIGTERM", "database system is shut down$"]
        where = [product.line(end).start() for end in ends]
        assert where == sorted(where)


def test_a_second_signal_does_not_wait(home: Path) -> None:
    with running(home, **ELSEWHERE, STAND_IN_API="deaf") as product:
        product.signal(signal.SIGTERM)
        product.line("^healthsweep: stopping; a second signal kills$")
        before = time.monotonic()
        product.signal(signal.SIGTERM)
        assert product.ended() == 0
        assert time.monotonic() - before < 5


def test_a_signal_during_the_start_ends_it(home: Path) -> None:
    with starting(home) as product:
        product.line("^sweeper started")
        product.signal(signal.SIGTERM)
        assert product.ended() == 0
        assert "database system is shut down" in product.log


def test_a_second_start_names_the_first_and_changes_nothing(home: Path) -> None:
    with running(home, **ELSEWHERE) as first:
        before = (home / "env").read_bytes()
        with starting(home, **ELSEWHERE) as second:
            assert second.ended() == 1
            assert second.log == f"healthsweep: already running on {home} (pid {first.pid})\n"
        assert (home / "env").read_bytes() == before


async def test_after_a_kill_nothing_is_left_and_the_next_start_goes_on(home: Path) -> None:
    with running(home) as killed:
        children = killed.children()
        environment = killed.environment
        connection = await asyncpg.connect(environment["DATABASE_URL"])
        await connection.execute("CREATE TABLE kept AS SELECT 1 AS value")
        killed.signal(signal.SIGKILL)
        assert killed.ended() == -signal.SIGKILL
        with running(home) as product:  # at once, while the last ones may still be ending
            assert not living().keys() & children
            assert "giving up" not in product.log
            assert product.environment == environment
            connection = await asyncpg.connect(environment["DATABASE_URL"])
            assert await connection.fetchval("SELECT value FROM kept") == 1
            await connection.close()


def test_a_kill_takes_those_with_it_who_would_not_end_otherwise(home: Path) -> None:
    with running(home, **ELSEWHERE, STAND_IN_API="deaf") as product:
        children = product.children()
        product.signal(signal.SIGTERM)
        product.line("^healthsweep: stopping; a second signal kills$")
        product.signal(signal.SIGKILL)
        product.ended()
        until(lambda: not living().keys() & children)


def test_a_child_that_dies_is_started_again_after_a_second(home: Path) -> None:
    with running(home, **ELSEWHERE) as product:
        before = time.monotonic()
        os.kill(int(product.line(r"^api started (\d+)")[1]), signal.SIGKILL)
        product.line("^healthsweep: api was ended by SIGKILL: starting it again in 1 s$")
        product.line("^api started", count=2)
        assert time.monotonic() - before > 0.9
        assert product.log.count("ready url=") == 1


def test_a_database_that_dies_is_started_again(home: Path) -> None:
    with running(home) as product:
        os.kill(int((home / "postgres/data/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        product.line("ready to accept connections", count=2)


def test_one_that_dies_again_and_again_after_it_was_ready_is_started_again_and_again(home: Path) -> None:
    with starting(home, **ELSEWHERE, STAND_IN_API="dies") as product:
        product.line("^api started", count=4)
        assert "giving up" not in product.log


def test_one_that_dies_three_times_before_it_is_ready_ends_all(home: Path) -> None:
    with starting(home, **ELSEWHERE, STAND_IN_API="never-ready") as product:
        assert product.ended() == 1
        assert product.log.count("api started") == 3
        assert "healthsweep: api ended with status 3: giving up\n" in product.log
        assert "sweeper stopped by SIGTERM" in product.log
        assert "ready url=" not in product.log


def test_refused_settings_end_all_at_once(home: Path) -> None:
    with starting(home, **ELSEWHERE, STAND_IN_SWEEPER="refuses") as product:
        assert product.ended() == 78
        assert product.log.count("sweeper started") == 1
        assert "api started" not in product.log


def test_a_wrong_setting_is_one_line_with_its_name(home: Path) -> None:
    with starting(home, PORT="many") as product:
        assert product.ended() == 78
        assert re.fullmatch(r"healthsweep: PORT .*\n", product.log)
    assert not home.exists()


def test_with_a_database_of_its_own_the_product_starts_none(home: Path) -> None:
    with running(home, **ELSEWHERE) as product:
        assert "PostgreSQL" not in product.log
        assert product.environment["DATABASE_URL"] == ELSEWHERE["DATABASE_URL"]
    assert not (home / "postgres").exists()


def test_an_administrators_token_is_kept_until_another_one_is_given(home: Path) -> None:
    tokens = []
    for environ in ({"ADMIN_TOKEN": "from-outside"}, {}, {"ADMIN_TOKEN": "another"}, {}):
        with running(home, **ELSEWHERE, **environ) as product:
            tokens.append(product.environment["ADMIN_TOKEN"])
    assert tokens == ["from-outside", "from-outside", "another", "another"]


def test_a_home_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with starting(tmp_path / "file" / "home") as product:
        assert product.ended() == 1
        assert (
            product.log
            == f"healthsweep: the directory {tmp_path}/file/home cannot be made: Not a directory\n"
        )


def test_the_demo_without_an_engine_and_without_root_says_what_is_missing(home: Path) -> None:
    """The tests are root's: theirs becomes nobody, who may only still reach the files of this checkout."""
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    reach = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--"]
    with starting(home, "--demo", before=[*nobody, *reach]) as product:
        assert product.ended() == 1
        assert "needs root and the program dockerd" in product.log


def test_arguments_are_explained() -> None:
    command = [sys.executable, "-m", "deploy.supervisor"]
    refused = subprocess.run([*command, "--wrong"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "unrecognized arguments: --wrong" in refused.stderr
    assert "--demo" in subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
