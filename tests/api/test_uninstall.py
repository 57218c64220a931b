"""Uninstalling from real containers: what a plugin brought goes, and nothing of anybody else."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.api.ground import Ground, Workspace
from tests.support.exchange import Request
from tests.support.postgres import connected
from tests.support.proxy import RecordingProxy
from tests.support.wire import Answer, Reply

CLAUDE_MD = "/configs/CLAUDE.md"
PLUGIN = {
    "plugin.yaml": b"version: 1\nskills: [own, shared, ../../keep, ../keep, a/b, '..', '.', '', /keep]\n",
    "rules/style.md": b"\nBe brief.\n\nBe kind.\n\n- and *never* [late](x)\n",
    "rules/edited.md": b"As it was.\n",
    "AGENTS.md": b"Ask first.",
}
RULE = "# Plugin: p / rule: style.md\n\nBe brief.\n\nBe kind.\n\n- and *never* [late](x)\n"
EDITED = "# Plugin: p / rule: edited.md\n\nAs it is now.\n\nMy own words.\n"
FRAGMENT = "# Plugin: p / fragment: AGENTS.md\n\nAsk first.\n"
OTHERS = "# Plugin: q / rule: style.md\n\nBe brief.\n\nBe kind.\n"
BEFORE = f"# Mine\n\nText.\n\n{RULE}\n{OTHERS}\n{EDITED}\n\n\n# More\n\n{FRAGMENT}"
AFTER = f"# Mine\n\nText.\n\n{OTHERS}\n\nAs it is now.\n\nMy own words.\n\n\n\n# More\n"


class House(Ground):
    """A ground with a wire between the api and the engine that can be disturbed."""

    wire: RecordingProxy


@pytest.fixture
def house(module_ground: Ground, wire: RecordingProxy) -> House:
    house = House(module_ground.api, module_ground.engine)
    house.wire, house.workspaces = wire, module_ground.workspaces
    house.plugin("p", PLUGIN)
    house.plugin("q", {"plugin.yaml": b"skills: [shared]\n"})
    return house


async def furnished(house: House, text: str | bytes = BEFORE, **options: Any) -> Workspace:
    """A container with both plugins, their skills, and CLAUDE.md."""
    workspace = await house.workspace(**options)
    for name in ("p", "q"):
        assert (await house.install(workspace, name)).status == 200
    for path in ("skills/own/SKILL.md", "skills/shared/SKILL.md", "skills/else/SKILL.md", "keep/file"):
        await workspace.write(f"/configs/{path}", b"x")
    if not options:
        content = text if isinstance(text, bytes) else text.encode()
        await workspace.write(CLAUDE_MD, content, mode=0o640, owner=1234)
    return workspace


async def left(workspace: Workspace) -> set[str]:
    _, output = await workspace.run("find", "/configs", "-type", "f")
    return set(output.split())


async def test_what_it_brought_goes_and_the_rest_stays(house: House) -> None:
    workspace = await furnished(house)
    answer = await house.uninstall(workspace, "p")
    assert (answer.status, answer.json) == (
        200,
        {"status": "uninstalled", "plugin": "p", "restarting": False},
    )
    assert await workspace.text(CLAUDE_MD) == AFTER
    seen = await workspace.tree("/configs")
    assert seen["CLAUDE.md"][:4] == ("file", 0o640, 1234, 1234)
    assert "skills/own" not in seen
    assert await left(workspace) == {
        *(f"/configs/skills/{skill}/SKILL.md" for skill in ("shared", "else")),
        "/configs/keep/file",
        "/configs/plugins/q/plugin.yaml",
        CLAUDE_MD,
    }
    assert [plugin["name"] for plugin in await house.installed(workspace)] == ["q"]
    async with connected(house.api.environment["DATABASE_URL"]) as database:
        names = await database.fetch(
            "SELECT plugin_name FROM healthsweep.plugin_records WHERE workspace_id = $1", UUID(workspace.id)
        )
    assert [row["plugin_name"] for row in names] == ["q"]
    assert (await house.uninstall(workspace, "q")).status == 200
    assert "/configs/skills/shared/SKILL.md" not in await left(workspace)


async def test_a_text_without_its_blocks_is_not_written(house: House) -> None:
    text = f"# Mine\r\n\n{OTHERS}\n\n\n".encode() + b"\xff no UTF-8 \0"
    workspace = await furnished(house, text)
    before = await workspace.run("stat", "-c", "%i %Y %Z", CLAUDE_MD)
    assert (await house.uninstall(workspace, "p")).status == 200
    assert await workspace.run("stat", "-c", "%i %Y %Z", CLAUDE_MD) == before


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (b"\xff\n\n" + RULE.encode() + b"\n\xfe\0\n", b"\xff\n\n\xfe\0\n"),
        (RULE.encode() + b"# Plugin: p / rule: " + b"x" * 200_000 + b"\n", None),
        (b"# Plugin: p / rule: a\0b\n# Plugin: p / rule: ../x\n" + RULE.encode(), None),
        (b"".join(b"# Plugin: p / rule: gone-%d\n" % number for number in range(3000)) + b"end\n", b"end\n"),
        (b"# Plugin: p / rule: no-such-file.md\n\nBe brief.\n", b"\nBe brief.\n"),
    ],
    ids=["no UTF-8", "a long line", "no names", "many markers", "a file that is gone"],
)
async def test_odd_texts(house: House, text: bytes, after: bytes | None) -> None:
    workspace = await furnished(house, text)
    assert (await house.uninstall(workspace, "p")).status == 200
    ((_, content),) = (await workspace.files(CLAUDE_MD)).values()
    assert content == (text.replace(RULE.encode(), b"") if after is None else after)


async def test_a_text_that_is_a_link_or_huge_is_left_alone(house: House) -> None:
    workspace = await furnished(house)
    await workspace.write("/elsewhere/text", BEFORE.encode())
    await workspace.run("ln", "-sf", "/elsewhere/text", CLAUDE_MD)
    assert (await house.uninstall(workspace, "p")).status == 200
    assert await workspace.run("readlink", CLAUDE_MD) == (0, "/elsewhere/text\n")
    assert await workspace.text("/elsewhere/text") == BEFORE

    workspace = await furnished(house, BEFORE + "x" * 2**20)
    assert (await house.uninstall(workspace, "p")).status == 200
    assert await workspace.text(CLAUDE_MD) == BEFORE + "x" * 2**20
    assert "/configs/plugins/p/plugin.yaml" not in await left(workspace)


async def test_a_text_that_is_a_mount_of_its_own_is_written_in_place(house: House, tmp_path: Path) -> None:
    text = tmp_path / "CLAUDE.md"
    text.touch()
    workspace = await furnished(house, host={"Binds": [f"{text}:{CLAUDE_MD}"]})
    text.write_text(BEFORE)
    before = text.stat()
    assert (await house.uninstall(workspace, "p")).status == 200
    after = text.stat()
    assert text.read_text() == AFTER
    assert (after.st_ino, after.st_uid, after.st_mode) == (before.st_ino, before.st_uid, before.st_mode)


async def test_plugins_whose_names_differ_only_by_case_can_both_be_removed(house: House) -> None:
    workspace = await furnished(house)
    await workspace.run("cp", "-r", "/configs/plugins/p", "/configs/plugins/P")
    for name in "pP":
        assert (await house.uninstall(workspace, name)).status == 200
    assert await workspace.text(CLAUDE_MD) == AFTER


async def test_a_text_that_changes_at_the_same_moment_keeps_the_change(house: House) -> None:
    workspace = await furnished(house)
    times = 1

    async def write(request: Request) -> Reply | None:
        nonlocal times
        if request.method == "PUT" and times:
            times -= 1
            await workspace.run("sh", "-c", f"echo written meanwhile >>{CLAUDE_MD}")
        return None

    house.wire.answer("/containers/*/archive", write)
    assert (await house.uninstall(workspace, "p")).status == 200
    text = AFTER.removesuffix("\n") + "\n\nwritten meanwhile\n"
    assert (await workspace.text(CLAUDE_MD)).split() == text.split()

    workspace, times = await furnished(house), 100
    answer = await house.uninstall(workspace, "p")
    assert (answer.status, answer.json["code"]) == (500, "remove_failed")
    assert answer.json["error"] == "failed to remove plugin"
    assert await workspace.text(CLAUDE_MD) == BEFORE + "written meanwhile\n" * 3
    assert await workspace.tree("/configs/plugins/p") == house.expected("p")
    await house.check_nothing_is_left()


async def test_a_repeated_one_finishes(house: House) -> None:
    workspace = await furnished(house)
    execs = fails_at = 0

    async def fail(_: Request) -> Reply | None:
        nonlocal execs
        execs += 1
        return Answer(500, {"message": "no"}) if execs == fails_at else None

    house.wire.answer("/containers/*/exec", fail)
    while fails_at == 0 or execs >= fails_at:
        execs, fails_at = 0, fails_at + 1
        first = await house.uninstall(workspace, "p")
        if execs < fails_at:
            assert first.status == 200
            break
        assert (first.status, first.json["code"]) == (500, "remove_failed")
        fails_at, last = 0, fails_at
        assert (await house.uninstall(workspace, "p")).status == 200
        assert await workspace.text(CLAUDE_MD) == AFTER
        assert (await house.uninstall(workspace, "p")).json["code"] == "plugin_not_installed"
        assert (await house.install(workspace, "p")).status == 200
        await workspace.write(CLAUDE_MD, BEFORE.encode())
        fails_at, execs = last, last
    assert fails_at > 5
    assert "/configs/skills/own/SKILL.md" not in await left(workspace)


async def test_the_order_of_its_answers(house: House) -> None:
    external = await house.row(runtime="external")
    workspace = await house.workspace()

    async def refused(workspace_id: str, name: str, status: int, code: str) -> None:
        answer = await house.call("DELETE", f"/workspaces/{workspace_id}/plugins/{name}")
        assert (answer.status, answer.json["code"]) == (status, code)

    answer = await house.api.call("DELETE", f"/workspaces/{external}/plugins/a b", token="wrong")
    assert answer.status == 401
    await refused(external, "a b", 422, "external_runtime")
    await workspace.container.pause()
    await refused(workspace.id, "a b", 400, "invalid_plugin_name")
    await refused(workspace.id, "..%2F..", 400, "invalid_plugin_name")
    await refused(workspace.id, "p?restart=perhaps", 400, "invalid_request")
    await refused(workspace.id, "p", 503, "container_not_running")
    await house.wire.fault("502")
    await refused(workspace.id, "p", 503, "container_engine_unavailable")
    await house.wire.heal()
    await workspace.container.unpause()
    await refused(workspace.id, "p", 404, "plugin_not_installed")
    assert (await house.install(workspace, "p")).status == 200
    await refused(workspace.id, "P", 404, "plugin_not_installed")
    house.wire.reset()
    answer = await house.uninstall(workspace, "p", restart=True)
    assert answer.json == {"status": "uninstalled", "plugin": "p", "restarting": True}
    assert await house.installed(workspace) == []
    assert len([seen for seen in house.wire.requests if seen.path.endswith("/restart")]) == 1
