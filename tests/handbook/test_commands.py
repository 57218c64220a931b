"""The commands of the handbook that need no installed host, in their order, on real processes."""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from deploy.postgres import _installed_programs
from shared.settings import Settings
from tests.handbook import settings_page
from tests.handbook.pages import HANDBOOK, blocks, fences
from tests.handbook.terminal import terminal
from tests.situations.scene import Scene, Workspace
from tests.support.api import free_port
from tests.support.nginx import running_nginx
from tests.support.postgres import connected


async def test_troubleshooting_and_settings(scene: Scene) -> None:
    (workspace,) = await scene.online("mail-triage")
    printed = await terminal(scene, workspace).runs(blocks("troubleshooting.md", on="any"))
    assert any("plugin.yaml" in text for text in printed), "the archive of a plugin is listed"
    assert any('"status": "installed"' in text for text in printed)
    (said,) = await terminal(scene, workspace).runs(blocks("settings.md", on="any"))
    assert "SWEEP_INTERVAL" in said
    assert any("containerd-shim" in text for text in printed)


async def test_the_shim_of_one_container_is_ended_and_of_no_other(scene: Scene) -> None:
    """By the short name too. Where it is not found nothing is, though all is typed on, as in a terminal."""
    (workspace,) = await scene.online("mail-triage")
    using = terminal(scene, workspace)
    find, end = (block for block in blocks("troubleshooting.md", on="any") if "SHIM" in block)
    rename = 'docker rename "ws-$ID" "ws-${ID:0:12}"'
    *_, found, ended = await using.runs([rename, find, end])
    assert "containerd-shim" in found
    assert ended.split()[0] == "137"

    lose = 'docker rename "ws-${ID:0:12}" another'
    running = "docker inspect --format '{{.State.Running}} {{.State.StartedAt}}' another"
    typed = f"kill() {{ touch killed; }}\n{find}{end}"
    type_it = f"bash --norc -i 2>&1 <<'END' || true\n{typed}END"
    _, before, said, after = await using.runs([lose, running, type_it, running])
    assert not (using.directory / "killed").exists()
    assert "CONTAINER: is not found" in said
    assert "SHIM: is not found" in said
    assert before == after
    assert before.startswith("true")


async def test_tokens(scene: Scene) -> None:
    """The agent's heartbeats are never refused; the old token is, once it is revoked."""
    (agent,) = await scene.connected("laptop-agent")
    *before, revoke, reset = blocks("tokens.md", on="any")
    using = terminal(scene, agent)
    async with beating(scene, agent) as tokens:
        said = await using.runs([*before, 'echo "$OLD" "$NEW_TOKEN"'])
        old, new = said[-1].split()
        tokens.append(new)
        await asyncio.sleep(0.5)
        await using.runs([f"OLD={old}\n{revoke}"])
        await asyncio.sleep(0.5)
    path = f"/workspaces/{agent.id}/state"
    assert (await scene.api.call("GET", path, token=new)).status == 200
    assert (await scene.api.call("GET", path, token=agent.token)).status == 401
    await scene.api.event("auth.rejected", why="revoked")
    await using.runs([reset])
    register = {"id": agent.id, "agent_card": {}, "delivery_mode": "poll"}
    assert (await scene.api.call("POST", "/registry/register", register)).json["auth_token"]


@asynccontextmanager
async def beating(scene: Scene, agent: Workspace) -> AsyncIterator[list[str]]:
    """Heartbeats with the last of the tokens; each is accepted."""
    tokens = [agent.token]
    accepted = itertools.count()

    async def beat() -> None:
        while True:
            body = {"workspace_id": agent.id, "error_rate": 0.0}
            answer = await scene.api.call("POST", "/registry/heartbeat", body, token=tokens[-1])
            assert answer.status == 200, answer.body
            next(accepted)
            await asyncio.sleep(0.05)

    task = asyncio.create_task(beat())
    try:
        yield tokens
        assert not task.done(), task.exception()
        assert next(accepted) > 10
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_proxy(scene: Scene) -> None:
    """Its nginx, in front of the api; the certificate is the one that its own command makes."""
    (agent,) = await scene.connected("laptop-agent")
    make_certificate, ask = blocks("proxy.md", on="any")
    port = free_port()
    using = terminal(scene, agent, TLS_PORT=str(port))
    await using.runs([make_certificate])
    (example,) = [fence.content for fence in fences(HANDBOOK / "proxy.md") if fence.language == "nginx"]
    for here, there in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/nginx/", f"{using.directory}/"),
        ("127.0.0.1:8080", scene.api.url.removeprefix("http://")),
    ):
        assert here in example
        example = example.replace(here, there)
    files = scene.place / "nginx"
    files.mkdir()
    async with running_nginx(files, example, port=port):
        (health,) = await using.runs([ask])
        assert json.loads(health) == {"status": "ok"}
        own = f'-H "Authorization: Bearer {agent.token}"'
        download = ask.replace("/health", f"/workspaces/{agent.id}/plugins/hello/download")
        await using.runs([download.replace("curl ", f"curl {own} -o hello.tar.gz "), "tar -tzf hello.tar.gz"])
        card = {"id": agent.id, "agent_card": {"about": "x" * 2**19}, "delivery_mode": "poll"}
        (using.directory / "card.json").write_text(json.dumps(card))
        register = ask.replace("/health", "/registry/register").replace("curl ", f"curl {own} -d @card.json ")
        assert "registered" in (await using.runs([register]))[0]
        metrics = ask.replace("/health", "/metrics").replace("-fsS", "-so /dev/null -w '%{http_code}'")
        assert await using.runs([metrics]) == ["404"]


def test_settings() -> None:
    assert (HANDBOOK / "settings.md").read_text() == settings_page.page(), "run: python -m tests.handbook"
    shown = set(re.findall(r"^\| `(\w+)` ", settings_page.page(), re.MULTILINE))
    assert shown == set(Settings.load({}).shown())


async def test_backup(scene: Scene) -> None:
    """Its dump and its restore, as another user would run them, with what happened in between undone."""
    (agent,) = await scene.connected("laptop-agent")
    backup = scene.place / "backup"
    backup.mkdir()
    using = terminal(scene, agent, BACKUP=str(backup)).with_path(_installed_programs())
    commands = "\n".join(blocks("backup.md"))
    dump = one(commands, r"^runuser .*pg_dump .*$")
    listing = one(commands, r"^pg_restore --list.*$")
    restore = one(commands, r"^runuser .*pg_restore .*$")
    await using.runs([dump])
    (tables,) = await using.runs([listing])
    assert int(tables) >= 7
    async with connected(scene.url) as connection:
        await connection.execute("DELETE FROM public.workspace_auth_tokens; DROP TABLE healthsweep.history")
    assert (await scene.api.call("GET", f"/workspaces/{agent.id}/state", token=agent.token)).status == 401
    await using.runs([restore, "healthsweep migrate"])
    assert (await scene.api.call("GET", f"/workspaces/{agent.id}/state", token=agent.token)).status == 200
    await scene.beat(agent)
    assert (await using.runs(["healthsweep status"]))[0].count("laptop-agent") == 1


def one(commands: str, pattern: str) -> str:
    """The one line that matches, without the change of user that a host needs."""
    (line,) = re.findall(pattern, commands, re.MULTILINE)
    return str(line).replace("runuser -u healthsweep -- ", "")
