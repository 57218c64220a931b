"""What may be in a plugin that is installed, and what an install says about what may not."""

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.api.ground import put_plugin
from tests.api.stage import Asked, Stage
from tests.support.daemon import State

MOST_BYTES = 3 * 2**20
DISK_BYTES = 2 * 2**20
SECRET = b"what is in a file of this host"


@pytest.fixture(scope="module")
def stage_settings(module_directory: Path) -> Iterator[Mapping[str, str]]:
    """Its home is on a disk that is smaller than the largest plugin."""
    directory, home = module_directory / "disk", module_directory / "disk" / "home"
    for place, size in ((directory, 2**26), (home, DISK_BYTES)):
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "disk", place], check=True)
    (directory / "secret").write_bytes(SECRET)
    yield {
        "HEALTHSWEEP_HOME": str(home),
        "PLUGINS_DIR": str(directory / "plugins"),
        "PLUGIN_INSTALL_MAX_DIR_BYTES": str(MOST_BYTES),
    }
    subprocess.run(["umount", "--recursive", directory], check=True)


class Shop:
    """A registry, and a workspace to install from it. A plugin that can be copied ends in `copy_failed`."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.registry = Path(stage.api.environment["PLUGINS_DIR"])

    def offer(self, files: Mapping[str, bytes]) -> Path:
        return put_plugin(self.registry, "p", files)

    async def install(self, **body: object) -> Asked:
        agent = await self.stage.agent(container=State())
        return await self.stage.ask("POST", agent.plugins, {"source": "p", **body}, token=agent.token)

    async def download(self) -> Asked:
        agent = await self.stage.agent()
        return await self.stage.ask("GET", f"{agent.plugins}/p/download", token=agent.token)


@pytest.fixture
def shop(stage: Stage) -> Iterator[Shop]:
    yield Shop(stage)
    assert not any(SECRET.decode() in str(line) for line in stage.api.lines)


def check(asked: Asked, status: int, code: str, error: str) -> None:
    assert (asked.status, asked.json["code"], asked.json["error"]) == (status, code, error)
    assert asked.json.get("source", "local://p" if status == 507 else None) == "local://p"
    assert SECRET not in asked.answer.body
    assert asked.json.keys() <= {"error", "code", "request_id", "source", "hint"}


async def test_what_may_be_in_it_is_copied(shop: Shop) -> None:
    shop.offer({"plugin.yaml": b"version: 1", ".hidden/x": b"", "größe": b"\0"})
    assert (await shop.install()).json["code"] == "copy_failed"


async def test_the_sum_of_plugin_yaml(shop: Shop) -> None:
    content = b"version: 1\n"
    digest = hashlib.sha256(content).hexdigest()
    shop.offer({"plugin.yaml": content})
    for good in (digest, digest.upper(), "", None):
        assert (await shop.install(sha256=good)).json["code"] == "copy_failed"
    other = "AB" * 32
    error = f"sha256 mismatch: expected {other.lower()}, got {digest}"
    check(await shop.install(sha256=other), 422, "plugin_integrity_failed", error)
    shop.offer({"README": b""})
    error = "sha256 check failed: plugin.yaml not found in staged plugin"
    check(await shop.install(sha256=digest), 422, "plugin_integrity_failed", error)


FAILED = "plugin manifest integrity check failed"
PLATFORM_SUM = hashlib.sha256(b"a\0one" + b"b\0two").hexdigest()


@pytest.mark.parametrize(
    ("manifest", "holds"),
    [
        (b'{"sha256": "%s"}' % PLATFORM_SUM.encode(), True),
        (b'{"sha256": "%s"}' % PLATFORM_SUM.upper().encode(), True),
        (b'{"name": "p"}', True),
        (b'{"sha256": "%s"}' % (b"0" * 64), False),
        (b'{"sha256": 1}', False),
        (b"{", False),
    ],
)
async def test_the_sum_that_a_manifest_json_declares(shop: Shop, manifest: bytes, holds: bool) -> None:
    shop.offer({"manifest.json": manifest, "a": b"one", "b": b"two"})
    asked = await shop.install()
    if holds:
        assert asked.json["code"] == "copy_failed"
    else:
        check(asked, 422, "plugin_integrity_failed", FAILED)


def _link(root: Path) -> None:
    (root / "x").symlink_to(root.parent.parent / "secret")


def _setuid(root: Path) -> None:
    (root / "x").write_bytes(b"")
    (root / "x").chmod(0o4755)


def _hard_link(root: Path) -> None:
    (root / "x").hardlink_to(root.parent.parent / "secret")


def _same_names(root: Path) -> None:
    (root / "X").write_bytes(b"")
    (root / "x").write_bytes(b"")


REFUSED: dict[str, tuple[str, Callable[[Path], object]]] = {
    "symbolic link: x": ("x", _link),
    "hard link: x": ("x", _hard_link),
    "named pipe: x": ("x", lambda root: os.mkfifo(root / "x")),
    "setuid bit: x": ("x", _setuid),
    "names that differ only by case": ("x", _same_names),
    "name that is not UTF-8: \\xff": ("", lambda root: Path(os.fsdecode(b"%s/\xff" % bytes(root))).touch()),
    "plugin.yaml that cannot be read": ("", lambda root: (root / "plugin.yaml").write_bytes(b"a: [")),
    "plugin.yaml that cannot be read, an alias": (
        "",
        lambda root: (root / "plugin.yaml").write_bytes(b"a: &x 1\nb: *x"),
    ),
    "plugin.yaml that cannot be read, more than 65536 bytes": (
        "",
        lambda root: (root / "plugin.yaml").write_bytes(b"#" * 2**20),
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
async def test_what_may_not_be_in_it(shop: Shop, reason: str) -> None:
    REFUSED[reason][1](shop.offer({"a": b"1"}))
    for asked in (await shop.install(), await shop.download()):
        assert asked.json["error"].startswith(f"plugin content refused: {reason}")
        check(asked, 422, "plugin_content_refused", asked.json["error"])


async def test_a_plugin_that_is_a_link_to_another_place(shop: Shop) -> None:
    shop.offer({"a": b"1"})
    (shop.registry / "away").symlink_to("p")
    agent = await shop.stage.agent(container=State())
    asked = await shop.stage.ask("POST", agent.plugins, {"source": "away"}, token=agent.token)
    assert (asked.status, asked.json["code"]) == (404, "plugin_not_at_source")


async def test_one_that_is_too_large(shop: Shop) -> None:
    with (shop.offer({}) / "large").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    check(await shop.install(), 413, "plugin_too_large", "staged plugin exceeds size limit")
    many = shop.offer({})
    for number in range(10_001):
        (many / str(number)).touch()
    check(await shop.install(), 413, "plugin_too_large", "staged plugin exceeds size limit")


async def test_a_full_disk(shop: Shop) -> None:
    full = 507, "storage_full", "no space left to stage the plugin"
    shop.offer({"noise": os.urandom(int(DISK_BYTES * 1.2))})
    check(await shop.install(), *full)
    check(await shop.download(), *full)
    shop.offer({"noise": os.urandom(int(DISK_BYTES * 0.7))})  # no room for an archive of it
    check(await shop.download(), *full)
    shop.offer({"a": b"1"})
    assert (await shop.install()).json["code"] == "copy_failed"
    assert (await shop.download()).status == 200
