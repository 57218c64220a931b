"""`deploy/install` without a host: what it reads and writes. On a booted Debian: tests/systemd."""

import subprocess
from pathlib import Path

import pytest

from deploy.home import read_variables
from deploy.host import configuration, release
from deploy.host.steps import Step, StepFailed, carry_out, content, must, point, points, write
from shared.settings import Settings
from tests.gates.tree import copy_tree
from tests.support.processes import CHECKOUT


def test_it_needs_the_standard_library_alone() -> None:
    """A new host has nothing else. -S: without what is installed beside it."""
    import_it = "import deploy.host.__main__"
    subprocess.run(["/usr/bin/python3", "-S", "-B", "-c", import_it], cwd=CHECKOUT, check=True)


def test_help_is_for_everybody_and_names_every_option() -> None:
    said = must(
        "setpriv", "--reuid=nobody", "--clear-groups", "bash", CHECKOUT / "deploy" / "install", "--help"
    )
    for option in ("--dry-run", "--version", "--purge", "uninstall", "DATABASE_URL"):
        assert option in said


def test_the_settings_file_says_what_is_so_without_it(tmp_path: Path) -> None:
    text = configuration.settings_text()
    assert not [line for line in text.splitlines() if line and not line.startswith("#")]
    (tmp_path / "env").write_text(
        text.replace("\n#", "\n")
    )  # every setting counts, every comment is no NAME=value
    said = {name: value for name, value in read_variables(tmp_path / "env").items() if name.isupper()}
    home = {"HEALTHSWEEP_HOME": "/var/lib/healthsweep"}
    assert Settings.load(said | home) == Settings.load(home)
    assert set(Settings.load({}).shown()) - set(said) == {
        "DATABASE_URL",
        "ADMIN_TOKEN",
        "HEALTHSWEEP_HOME",
        "PORT",
    }


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = copy_tree(tmp_path / "checkout", only=("api", "deploy", "shared", "sweeper"))
    (root / "docs").mkdir()
    (root / "docs" / "page.md").write_text("a page")
    (root / "LICENSE").touch()
    return root


def test_a_version_is_named_after_its_files(checkout: Path) -> None:
    name = release.of_checkout(checkout).name
    (checkout / "api" / "__pycache__").mkdir()
    (checkout / "api" / "__pycache__" / "app.pyc").touch()
    (checkout / "docs" / ".hidden").touch()
    assert release.of_checkout(checkout).name == name
    names = {name}
    for change in (
        lambda: (checkout / "docs" / "page.md").write_text("another"),
        lambda: (checkout / "docs" / "page.md").chmod(0o755),
        lambda: (checkout / "docs" / "page.md").rename(checkout / "docs" / "other.md"),
        lambda: (checkout / "deploy" / "constraints.txt").write_text("aiohttp==1"),
        lambda: (checkout / "pyproject.toml").write_text('[project]\ndependencies = ["aiohttp"]'),
    ):
        change()
        names.add(release.of_checkout(checkout).name)
    assert len(names) == 6


def test_what_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="no checkout"):
        release.of_checkout(tmp_path)


def test_a_dry_run_does_what_the_real_one_says(capsys: pytest.CaptureFixture[str]) -> None:
    done: list[str] = []

    def step(name: str, *, is_done: bool = False, check: bool = False) -> Step:
        return Step(name, do=lambda: done.append(name), is_done=None if check else lambda: is_done)

    steps = [step("first"), step("second", is_done=True), step("third", check=True)]
    assert carry_out(steps, dry_run=True) == 1
    assert done == []
    assert capsys.readouterr().out == "  would  first\n  done   second\n  would  third\n"
    assert carry_out(steps, dry_run=False) == 1
    assert done == ["first", "third"]
    assert capsys.readouterr().out == "  now    first\n  done   second\n  now    third\n"


def test_a_command_that_fails_says_what_it_said() -> None:
    with pytest.raises(StepFailed, match=r"^sh failed \(3\): no such luck$"):
        must("sh", "-c", "echo no such luck >&2; exit 3")
    with pytest.raises(StepFailed, match=r"^nothing-of-that-name failed \(127\)"):
        must("nothing-of-that-name")
    with pytest.raises(StepFailed, match=r"did not end within"):
        must("sleep", "9", seconds=0.1)


def test_files_and_links_are_replaced_in_one_step(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    assert content(file) is None
    for text in ("one", "two"):
        write(file, text, mode=0o640)
        assert (content(file), file.stat().st_mode & 0o777) == (text.encode(), 0o640)
        point(link, tmp_path / text)
        assert points(link, tmp_path / text)
    assert not points(file, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]
