"""`deploy/install` without a host: what it reads and writes. On a booted Debian: tests/systemd."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy import layout
from deploy.home import read_variables
from deploy.host import __main__ as installer
from deploy.host import configuration, database, operator, release, services
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


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the installer finds the files of a host."""
    places = ("PROGRAMS", "VERSIONS", "CURRENT", "SETTINGS", "CREDENTIALS", "STATE")
    root = tmp_path / "host"
    for name in places:
        monkeypatch.setattr(layout, name, root / getattr(layout, name).relative_to("/"))
    layout.CREDENTIALS.mkdir(parents=True)
    return root


def test_a_version_that_cannot_be_built_anew_stays_as_it_is(
    checkout: Path, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Services may run of it. That one which is built takes its place, and runs: tests/systemd."""
    chosen = release.of_checkout(checkout)
    chosen.place.mkdir(parents=True)
    (chosen.place / ".complete").write_text("Python 2.7\n")
    step = release.build(chosen)
    assert step.is_done is not None
    assert not step.is_done()
    monkeypatch.setattr("sys.executable", "/no/python")
    with pytest.raises(StepFailed, match="python failed"):
        step.do()
    assert content(chosen.place / ".complete") == b"Python 2.7\n"
    assert [path.name for path in layout.PROGRAMS.iterdir()] == ["versions"]

    rename = Path.rename

    def interrupted(path: Path, to: Path) -> Path:
        if path.name == "unfinished":
            raise KeyboardInterrupt
        return rename(path, to)

    monkeypatch.setattr(release, "_add_environment", lambda *_: None)
    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        step.do()
    assert content(chosen.place / ".complete") == b"Python 2.7\n"
    assert [path.name for path in layout.PROGRAMS.iterdir()] == ["versions"]


def test_a_security_update_of_python_leaves_a_version_as_it_is(
    checkout: Path, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = release.of_checkout(checkout)
    chosen.place.mkdir(parents=True)
    (chosen.place / ".complete").write_text("Python {}.{}\n".format(*sys.version_info[:2]))
    monkeypatch.setattr("sys.version", "of another day")
    is_done = release.build(chosen).is_done
    assert is_done is not None
    assert is_done()


OLD_URL, NEW_URL = "postgresql:///old", "postgresql:///new"


@pytest.mark.parametrize(
    "stopped",
    [
        (KeyboardInterrupt(), 130, "it was interrupted"),
        (ValueError("a bug"), 1, "ValueError: a bug"),
        (StepFailed("no luck"), 1, "no luck"),
    ],
)
@pytest.mark.parametrize("name", ["0.1.0+aaaaaaaa", "0.2.0+bbbbbbbb"])
def test_whatever_stops_it_the_version_and_the_database_before_are_back(
    host: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stopped: tuple[BaseException, int, str],
    name: str,
) -> None:
    """`name` is another version, or the one that runs with another database."""
    problem, status, said = stopped
    before = layout.VERSIONS / "0.1.0+aaaaaaaa"
    before.mkdir(parents=True)
    point(layout.CURRENT, before)
    write(layout.CREDENTIALS / "DATABASE_URL", f"{OLD_URL}\n", mode=0o600)
    asked: list[str] = []

    def start(to: release.Release) -> None:
        point(layout.CURRENT, to.place)
        if content(layout.CREDENTIALS / "DATABASE_URL") == f"{NEW_URL}\n".encode():
            raise problem

    def switch_to(to: release.Release) -> list[Step]:
        return [Step("start", do=lambda: start(to), is_done=None)]

    def refusal(of: release.Release, url: str) -> str:
        asked.append(f"{of.name} {url}")
        return ""

    monkeypatch.setattr(installer, "_preparation", lambda *_: [])
    monkeypatch.setattr(services, "switch_to", switch_to)
    monkeypatch.setattr(database, "refusal", refusal)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setenv("DATABASE_URL", NEW_URL)
    chosen = release.Release(name, layout.VERSIONS / name)
    assert installer._install(chosen, dry_run=False) == status
    assert points(layout.CURRENT, before)
    assert content(layout.CREDENTIALS / "DATABASE_URL") == f"{OLD_URL}\n".encode()
    assert asked == [f"{before.name} {OLD_URL}"]
    last = capsys.readouterr().err
    assert last == f"healthsweep: {name} did not become ready ({said}); {before.name} runs again\n"


def test_only_a_version_that_can_never_start_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    some = release.Release("0.1.0+aaaaaaaa", Path("/nowhere"))
    said = "healthsweep: the database has 9999_later, which this version does not know: upgrade it"
    for status, expected in ((78, said.removeprefix("healthsweep: ")), (1, ""), (124, ""), (0, "")):
        command = ["sh", "-c", f"echo a warning >&2; echo '{said}' >&2; exit {status}"]
        monkeypatch.setattr(database, "_command", lambda *_, command=command: command)
        assert database.refusal(some, OLD_URL) == expected


def test_two_databases_are_refused_and_the_line_is_named(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration.refuse_another_url(NEW_URL)
    layout.SETTINGS.write_text(f"# settings\nDATABASE_URL={OLD_URL}\n")
    configuration.refuse_another_url(OLD_URL)
    with pytest.raises(StepFailed, match=rf"^line 2 of {layout.SETTINGS} names another database") as refused:
        configuration.refuse_another_url(NEW_URL)
    monkeypatch.setenv("DATABASE_URL", NEW_URL)
    with pytest.raises(StepFailed, match=r"^line 2 of"):
        installer._install(release.Release("0.2.0+bbbbbbbb", host), dry_run=False)
    assert OLD_URL not in str(refused.value)  # it may carry a password


def test_the_secrets_are_two_files_and_what_is_none_is_refused(
    host: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = layout.CREDENTIALS / "DATABASE_URL"
    (layout.CREDENTIALS / "old").mkdir()
    (layout.CREDENTIALS / "ADMIN_TOKEN.bak").write_bytes(b"\xff")
    url.write_text(f"{OLD_URL}\n")
    home = {"HEALTHSWEEP_HOME": str(layout.STATE)}
    assert configuration.variables({}) == {**home, "DATABASE_URL": OLD_URL}
    monkeypatch.setattr("sys.argv", ["healthsweep", "status"])
    monkeypatch.setattr("os.geteuid", lambda: 0)
    for make, said in ((lambda: url.write_bytes(b"\xff"), "is no UTF-8 text"), (url.mkdir, "is a directory")):
        url.unlink()
        make()
        assert operator.main() == 1
        assert capsys.readouterr().err.startswith(f"healthsweep: {url} {said}")


def test_the_last_word_of_a_service_is_said_also_where_it_is_half_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for last, said in (
        ('{"event": "settings.invalid", "variable": "PORT"}', "settings.invalid PORT"),
        ('{"event": "settings.inv', '{"event": "settings.inv'),
    ):
        journal = subprocess.CompletedProcess[str]([], 0, f"before\n{last}\n", "")
        monkeypatch.setattr(services, "run", lambda *_, journal=journal: journal)
        assert services._problem("healthsweep-api.service", since="@0") == f"healthsweep-api.service: {said}"
