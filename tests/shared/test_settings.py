"""Every variable: its default, what it takes, what it refuses. Secrets: see test_secrets."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.errors import SettingsError
from shared.settings import Settings, about
from tests.support.processes import CHECKOUT

DEFAULTS: dict[str, Any] = {
    "DATABASE_URL": None,
    "DOCKER_HOST": "unix:///var/run/docker.sock",
    "BIND_ADDRESS": "127.0.0.1",
    "PORT": 8080,
    "METRICS_PORT": 9108,
    "PUBLIC_URL": None,
    "CORS_ORIGINS": set(),
    "TRUSTED_PROXIES": set(),
    "RATE_LIMIT": 600,
    "ADMIN_TOKEN": None,
    "HEALTHSWEEP_HOME": CHECKOUT / ".run",
    "PLUGINS_DIR": CHECKOUT / ".run" / "plugins",
    "SWEEP_INTERVAL": 15,
    "OFFLINE_GRACE": 1,
    "ONLINE_GRACE": 2,
    "ENGINE_TIMEOUT": 3,
    "REMOTE_LIVENESS_STALE_AFTER": 180,
    "SWEEP_WRITE": True,
    "EXTERNAL_RUNTIMES": {"external", "kimi", "kimi-cli"},
    "UNSWEPT_RUNTIMES": {"mock"},
    "PLUGIN_INSTALL_BODY_MAX_BYTES": 65536,
    "PLUGIN_INSTALL_FETCH_TIMEOUT": 300,
    "PLUGIN_INSTALL_MAX_DIR_BYTES": 104857600,
    "PLUGIN_ALLOW_UNPINNED": False,
    "GITHUB_BASE_URL": "https://github.com",
    "CACHE_MAX_BYTES": 2 * 2**30,
    "ALLOW_PRIVATE_AGENT_URLS": False,
    "HISTORY_RETENTION": 90 * 86400,
    "LOG_LEVEL": "info",
    "LOG_FORMAT": "json",
}
DAY = 86400


def value(variable: str, text: str) -> Any:
    return getattr(Settings.load({variable: text}), variable.lower())


def refusal(variable: str, text: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        Settings.load({variable: text})
    return caught.value


@pytest.mark.parametrize(("variable", "default"), DEFAULTS.items(), ids=DEFAULTS)
def test_the_default(variable: str, default: object) -> None:
    assert getattr(Settings.load({}), variable.lower()) == default


@pytest.mark.parametrize("variable", DEFAULTS)
@pytest.mark.parametrize("text", ["", "  ", "\t\n"], ids=["empty", "spaces", "blanks"])
def test_an_empty_variable_counts_as_unset(variable: str, text: str) -> None:
    assert value(variable, text) == DEFAULTS[variable]


def test_these_are_all_and_each_says_what_it_is_for() -> None:
    assert set(Settings.load({}).shown()) == set(DEFAULTS)
    assert all(about(variable) for variable in DEFAULTS)


def test_what_is_not_ours_is_passed_over() -> None:
    assert Settings.load({"PATH": "/bin", "sweep_interval": "x", "SWEEP": "y"}) == Settings.load({})


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("DATABASE_URL", "postgresql://u:p@host:5432/db", "postgresql://u:p@host:5432/db"),
        ("DATABASE_URL", "postgres://host/db?sslmode=require", "postgres://host/db?sslmode=require"),
        ("DATABASE_URL", "postgresql://u@a:5432,[::1]:5433,c/db", "postgresql://u@a:5432,[::1]:5433,c/db"),
        ("DATABASE_URL", "postgresql:///db?host=/run/postgresql", "postgresql:///db?host=/run/postgresql"),
        ("DOCKER_HOST", "unix:///run/podman/podman.sock", "unix:///run/podman/podman.sock"),
        ("DOCKER_HOST", "tcp://10.0.0.7:2375", "tcp://10.0.0.7:2375"),
        ("DOCKER_HOST", "tcp://docker.internal:2375/", "tcp://docker.internal:2375"),
        ("BIND_ADDRESS", "0.0.0.0", "0.0.0.0"),
        ("PORT", "1", 1),
        ("PORT", "65535", 65535),
        ("METRICS_PORT", "0", 0),
        ("PUBLIC_URL", "https://sweep.example.org/", "https://sweep.example.org"),
        ("CORS_ORIGINS", "https://a.example, https://b.example", {"https://a.example", "https://b.example"}),
        ("TRUSTED_PROXIES", "10.0.0.1,fd00::/8", {"10.0.0.1", "fd00::/8"}),
        ("RATE_LIMIT", "0", 0),
        ("RATE_LIMIT", "1000000", 1_000_000),
        ("ADMIN_TOKEN", " padded \n", "padded"),
        ("HEALTHSWEEP_HOME", "/srv/healthsweep", Path("/srv/healthsweep")),
        ("SWEEP_INTERVAL", "1", 1),
        ("SWEEP_INTERVAL", "3600", 3600),
        ("OFFLINE_GRACE", "0", 0),
        ("ONLINE_GRACE", "0", 0),
        ("ENGINE_TIMEOUT", "0.1", 0.1),
        ("REMOTE_LIVENESS_STALE_AFTER", "2", 2),
        ("REMOTE_LIVENESS_STALE_AFTER", "30d", 30 * DAY),
        ("HISTORY_RETENTION", "3650d", 3650 * DAY),
        ("EXTERNAL_RUNTIMES", " external , ,kimi,", {"external", "kimi"}),
        ("EXTERNAL_RUNTIMES", ",", set()),
        ("UNSWEPT_RUNTIMES", "mock,sandbox", {"mock", "sandbox"}),
        ("PLUGINS_DIR", "/srv/plugins", Path("/srv/plugins")),
        ("PLUGIN_INSTALL_FETCH_TIMEOUT", "5m", 300),
        ("GITHUB_BASE_URL", "http://forge.internal:3000/", "http://forge.internal:3000"),
        ("CACHE_MAX_BYTES", "1048576", 2**20),
        ("CACHE_MAX_BYTES", "512MiB", 2**29),
        ("CACHE_MAX_BYTES", "2 Gi", 2**31),
        ("PLUGIN_INSTALL_BODY_MAX_BYTES", "64KiB", 2**16),
        ("LOG_LEVEL", "WARNING", "warning"),
        ("LOG_LEVEL", "debug", "debug"),
        ("LOG_FORMAT", "console", "console"),
    ],
)
def test_it_takes(variable: str, text: str, expected: object) -> None:
    assert value(variable, text) == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20", 20),
        ("20s", 20),
        ("20 s", 20),
        ("1500ms", 1.5),
        ("2m", 120),
        ("0.5m", 30),
        ("1h", 3600),
        ("2.5", 2.5),
    ],
)
def test_a_duration_is_seconds_or_has_a_unit(text: str, seconds: float) -> None:
    assert value("SWEEP_INTERVAL", text) == seconds


@pytest.mark.parametrize("text", ["on", "true", "yes", "1", "ON", "True"])
def test_a_switch_that_is_on(text: str) -> None:
    assert value("SWEEP_WRITE", text) is True


@pytest.mark.parametrize("text", ["off", "false", "no", "0", "OFF", "False"])
def test_a_switch_that_is_off(text: str) -> None:
    assert value("SWEEP_WRITE", text) is False


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("DATABASE_URL", "mysql://host/db"),
        ("DATABASE_URL", "host=localhost dbname=x"),
        ("DATABASE_URL", "postgresql://[broken/db"),
        ("DATABASE_URL", "postgresql://host:port/db"),
        ("DATABASE_URL", "postgresql://u:p@a:5432,b:c/db"),
        ("DATABASE_URL", "postgresql://u@host:99999/db"),
        ("DATABASE_URL", "postgresql://u@a:5432,b:65536/db"),
        ("BIND_ADDRESS", "a..b"),
        ("BIND_ADDRESS", "0.0.0.0:80"),
        ("DOCKER_HOST", "tcp://host:99999"),
        ("DOCKER_HOST", "unix://relative.sock"),
        ("DOCKER_HOST", "tcp://no-port"),
        ("DOCKER_HOST", "tcp://host:port"),
        ("DOCKER_HOST", "tcp://host:2375/prefix"),
        ("DOCKER_HOST", "ssh://user@host"),
        ("DOCKER_HOST", "/var/run/docker.sock"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "http"),
        ("PORT", "80.0"),
        ("PORT", "-1"),
        ("PORT", "\u0668\u0660"),
        ("PORT", "9" * 5000),
        ("METRICS_PORT", "65536"),
        ("HEALTHSWEEP_HOME", "relative/path"),
        ("HEALTHSWEEP_HOME", "~/healthsweep"),
        ("PUBLIC_URL", "sweep.example.org"),
        ("PUBLIC_URL", "https://"),
        ("GITHUB_BASE_URL", "git@github.com:owner/name"),
        ("TRUSTED_PROXIES", "10.0.0.1,proxy.internal"),
        ("RATE_LIMIT", "1000001"),
        ("PLUGINS_DIR", "plugins"),
        ("PLUGIN_INSTALL_BODY_MAX_BYTES", "64KB"),
        ("PLUGIN_INSTALL_FETCH_TIMEOUT", "0"),
        ("PLUGIN_ALLOW_UNPINNED", "perhaps"),
        ("CACHE_MAX_BYTES", "1MB"),
        ("CACHE_MAX_BYTES", "1KiB"),
        ("SWEEP_INTERVAL", "0.9"),
        ("SWEEP_INTERVAL", "900ms"),
        ("SWEEP_INTERVAL", "3601"),
        ("SWEEP_INTERVAL", "-5"),
        ("SWEEP_INTERVAL", "nan"),
        ("SWEEP_INTERVAL", "inf"),
        ("SWEEP_INTERVAL", "1e3"),
        ("SWEEP_INTERVAL", "9" * 400),
        ("SWEEP_INTERVAL", "15 apples"),
        ("SWEEP_INTERVAL", "1m30s"),
        ("OFFLINE_GRACE", "2h"),
        ("ONLINE_GRACE", "-1"),
        ("ENGINE_TIMEOUT", "0"),
        ("ENGINE_TIMEOUT", "61"),
        ("REMOTE_LIVENESS_STALE_AFTER", "1.9"),
        ("REMOTE_LIVENESS_STALE_AFTER", "31d"),
        ("HISTORY_RETENTION", "59m"),
        ("SWEEP_WRITE", "maybe"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_it_refuses_and_names_the_variable_in_one_line(variable: str, text: str) -> None:
    error = refusal(variable, text)
    assert error.variable == variable
    assert str(error) == f"{variable} {error.problem}"
    assert error.problem.startswith("must be ")
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("PORT", "0", "from 1 to 65535"),
        ("SWEEP_INTERVAL", "0", "from 1 to 3600 seconds"),
        ("REMOTE_LIVENESS_STALE_AFTER", "1", "from 2 to 2592000 seconds"),
        ("HISTORY_RETENTION", "1", "from 3600 to 315360000 seconds"),
        ("LOG_LEVEL", "loud", "debug, info, warning, error"),
        ("DOCKER_HOST", "x", "unix:///path/to/docker.sock or tcp://host:port"),
    ],
)
def test_a_refusal_says_what_would_be_taken(variable: str, text: str, said: str) -> None:
    assert said in refusal(variable, text).problem


def test_plugins_are_kept_in_the_home_where_nothing_else_is_said() -> None:
    assert Settings.load({"HEALTHSWEEP_HOME": "/srv/x"}).plugins_dir == Path("/srv/x/plugins")
    both = {"HEALTHSWEEP_HOME": "/srv/x", "PLUGINS_DIR": "/srv/plugins"}
    assert Settings.load(both).plugins_dir == Path("/srv/plugins")


def test_what_is_shown_is_plain_json() -> None:
    shown = Settings.load({"HEALTHSWEEP_HOME": "/srv/x", "SWEEP_INTERVAL": "1500ms"}).shown()
    assert json.loads(json.dumps(shown)) == shown
    assert shown["HEALTHSWEEP_HOME"] == "/srv/x"
    assert shown["SWEEP_INTERVAL"] == 1.5
    assert shown["EXTERNAL_RUNTIMES"] == "external,kimi,kimi-cli"
    assert shown["SWEEP_WRITE"] is True


def test_where_a_database_is_needed_its_absence_says_what_to_set() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL is not set"):
        Settings.load({}).required_database_url()
    url = "postgresql://host/db"
    assert Settings.load({"DATABASE_URL": url}).required_database_url() == url
