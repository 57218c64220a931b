"""Where secrets come from, and that none is ever shown."""

import json
from pathlib import Path

import pytest

from shared.errors import SettingsError
from shared.settings import Settings


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text("postgresql://u:from-a-file@host/db\n")
    return file


@pytest.mark.parametrize("variable", ["DATABASE_URL", "ADMIN_TOKEN"])
def test_a_secret_is_read_from_the_file_that_is_named(variable: str, secret_file: Path) -> None:
    settings = Settings.load({f"{variable}_FILE": str(secret_file)})
    assert getattr(settings, variable.lower()) == "postgresql://u:from-a-file@host/db"


@pytest.mark.parametrize("variable", ["DATABASE_URL", "ADMIN_TOKEN"])
def test_a_secret_is_read_from_the_credentials_directory(variable: str, secret_file: Path) -> None:
    secret_file.rename(secret_file.parent / variable)
    settings = Settings.load({"CREDENTIALS_DIRECTORY": str(secret_file.parent)})
    assert getattr(settings, variable.lower()) == "postgresql://u:from-a-file@host/db"


def test_the_variable_comes_first_then_the_named_file_then_the_credential(tmp_path: Path) -> None:
    (tmp_path / "ADMIN_TOKEN").write_text("credential")
    (tmp_path / "named").write_text("named")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert Settings.load(environ).admin_token == "credential"
    environ["ADMIN_TOKEN_FILE"] = str(tmp_path / "named")
    assert Settings.load(environ).admin_token == "named"
    environ["ADMIN_TOKEN"] = "own"
    assert Settings.load(environ).admin_token == "own"


def test_a_credential_that_is_not_there_is_unset(tmp_path: Path) -> None:
    assert Settings.load({"CREDENTIALS_DIRECTORY": str(tmp_path)}).admin_token is None


def test_an_empty_file_counts_as_unset(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    assert Settings.load({"ADMIN_TOKEN_FILE": str(tmp_path / "empty")}).admin_token is None


def test_only_a_secret_is_read_from_a_file(secret_file: Path) -> None:
    assert Settings.load({"DOCKER_HOST_FILE": str(secret_file)}).docker_host == Settings.load({}).docker_host


@pytest.mark.parametrize(
    "content", [None, b"\xff\xfe\x00", "directory"], ids=["missing", "binary", "directory"]
)
def test_a_file_that_cannot_be_read_is_refused_by_name(content: bytes | str | None, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content:
        file.mkdir()
    with pytest.raises(SettingsError, match="cannot be read") as caught:
        Settings.load({"ADMIN_TOKEN_FILE": str(file)})
    assert caught.value.variable == "ADMIN_TOKEN_FILE"


SECRETS = {"DATABASE_URL": "postgresql://u:hunter2@host/db", "ADMIN_TOKEN": "hunter2"}


def test_a_secret_is_not_shown() -> None:
    shown = Settings.load(SECRETS).shown()
    assert (shown["DATABASE_URL"], shown["ADMIN_TOKEN"]) == ("(set)", "(set)")
    assert "hunter2" not in json.dumps(shown)


def test_an_unset_secret_is_shown_as_such() -> None:
    assert Settings.load({}).shown()["ADMIN_TOKEN"] is None


def test_a_secret_is_not_in_the_repr() -> None:
    assert "hunter2" not in repr(Settings.load(SECRETS))
    assert "hunter2" not in str(Settings.load(SECRETS))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("mysql://u:hunter2@host/db", id="another scheme"),
        pytest.param("u:hunter2@host/db", id="no scheme"),
        pytest.param("postgresql://u:hunter2@[host/db", id="half an address"),
        pytest.param("postgresql://u:hunter2@host:port/db", id="no port"),
    ],
)
def test_a_secret_is_not_in_a_refusal(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load({"DATABASE_URL": text})
    assert "hunter2" not in str(caught.value)
