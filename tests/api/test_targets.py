"""Which container a plugin request is for, if any: said on the wire, and never the wrong one of three things.

422 external_runtime              there is no container by design, and what to do instead
503 container_not_running         there is none that runs: the workspace's doing
503 container_engine_unavailable  Docker could not tell: the workspace may be fine
"""

import asyncio
import json
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.api.stage import ENGINE_TIMEOUT_S, Agent, Stage
from tests.support.daemon import State
from tests.support.wire import FAULTS

INSTALL_REFUSED = (
    b'"error": "plugin install via push is not supported for external runtimes"',
    b'"hint": "external workspaces pull plugins via GET /workspaces/:id/plugins/:name/download"',
)
UNINSTALL_REFUSED = (
    b'"error": "plugin uninstall via docker exec is not supported for external runtimes"',
    b'"hint": "external workspaces manage their own plugin directory; remove it locally"',
)
EXTERNAL = ("external", "kimi", "kimi-cli")
NOT_EXTERNAL = (
    "claude-code",
    "langgraph",
    "deepagents",
    "hermes",
    None,
    "",
    "mock",
    "External",
    "never-heard-of",
)
REASONS = {
    **{word: word for word in ("created", "exited", "paused", "restarting", "removing", "dead")},
    "stopped": "exited",
    "stopping": "exited",
    "initialized": "created",
}


class Route(NamedTuple):
    """A route of plugins that needs a container, and what it answers without one."""

    method: str
    path: str
    body: object = None


HARD = (Route("POST", "", {"source": "local://nowhere"}), Route("DELETE", "/nowhere"))
SOFT = (Route("GET", ""), Route("GET", "/compatibility?runtime=claude_code"))
WITHOUT = (Route("GET", "/available"), Route("GET", "/nowhere/download"))


@pytest.mark.parametrize("runtime", EXTERNAL)
async def test_an_external_workspace_is_told_what_to_do_instead(stage: Stage, runtime: str) -> None:
    agent = await stage.agent(runtime=runtime)
    for token in (agent.token, stage.api.admin_token):
        for (method, path, body), texts in zip(HARD, (INSTALL_REFUSED, UNINSTALL_REFUSED), strict=True):
            asked = await stage.ask(method, agent.plugins + path, body, token=token)
            assert asked.status == 422
            for text in texts:
                assert text in asked.answer.body
            assert list(asked.json) == ["error", "code", "request_id", "hint", "runtime"]
            assert (asked.json["code"], asked.json["runtime"]) == ("external_runtime", runtime)
            assert "Retry-After" not in asked.answer.headers
            assert asked.events == ["request.completed"]
            assert asked.lines[0]["level"] == "info"
    assert stage.daemon.requests == []


@pytest.mark.parametrize("route", HARD, ids=["install", "uninstall"])
async def test_it_is_told_so_after_authentication(stage: Stage, route: Route) -> None:
    agent, other = await stage.agent(runtime="external"), await stage.agent(runtime="external")
    for token in (None, "wrong", other.token):
        asked = await stage.ask(route.method, agent.plugins + route.path, route.body, token=token)
        assert asked.status == 401


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"[" * 30_000, b"{}", b'{"source": "github://a/b"}', b"x" * 2_000_000],
    ids=["none", "no json", "brackets", "no source", "unpinned", "too large"],
)
async def test_it_is_told_so_before_the_body_is_looked_at(stage: Stage, body: bytes) -> None:
    agent = await stage.agent(runtime="external")
    asked = await stage.ask("POST", agent.plugins, body, token=agent.token)
    assert (asked.status, asked.json["code"]) == (422, "external_runtime")


async def test_it_is_told_so_before_the_body_is_there(stage: Stage) -> None:
    agent = await stage.agent(runtime="external")
    address = urlsplit(stage.api.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = f"POST {agent.plugins} HTTP/1.1\r\nHost: x\r\nAuthorization: bearer {agent.token}\r\n"
    writer.write(f"{head}Content-Length: 1000\r\n\r\n".encode())
    async with asyncio.timeout(2):
        answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 422 ")
    writer.close()


@pytest.mark.parametrize("name", ["..", ".hidden", "a b", "x" * 129, "%2e%2e%2fetc"])
async def test_it_is_told_so_before_the_name_is_looked_at(stage: Stage, name: str) -> None:
    agent = await stage.agent(runtime="external")
    asked = await stage.ask("DELETE", f"{agent.plugins}/{name}?restart=perhaps", token=agent.token)
    if name == "..":  # the client's own reading of the path
        assert asked.status in (404, 405)
    else:
        assert (asked.status, asked.json["code"]) == (422, "external_runtime")


@pytest.mark.parametrize("fault", FAULTS)
async def test_it_is_told_so_whatever_docker_does(stage: Stage, fault: str) -> None:
    agent = await stage.agent(runtime="external")
    await stage.daemon.fault(fault)
    for method, path, body in HARD:
        asked = await stage.ask(method, agent.plugins + path, body, token=agent.token)
        assert (asked.status, asked.json["code"]) == (422, "external_runtime")
        assert asked.seconds < ENGINE_TIMEOUT_S
    assert stage.daemon.requests == []


@pytest.mark.parametrize("runtime", EXTERNAL)
async def test_no_route_asks_docker_about_an_external_workspace(stage: Stage, runtime: str) -> None:
    agent = await stage.agent(runtime=runtime, container=State())
    for method, path, body in (*SOFT, *WITHOUT, *HARD):
        asked = await stage.ask(method, agent.plugins + path, body, token=agent.token)
        assert not {"container.check_transient", "container.not_running"} & set(asked.events)
        assert "X-Container-State" not in asked.answer.headers
        if (method, path, body) in SOFT:
            assert asked.json == nothing_seen(path)
    assert stage.daemon.requests == []


@pytest.mark.parametrize("runtime", NOT_EXTERNAL, ids=repr)
async def test_every_other_runtime_falls_through(stage: Stage, runtime: str | None) -> None:
    agent = await stage.agent(runtime=runtime)
    for method, path, body in HARD:
        asked = await stage.ask(method, agent.plugins + path, body, token=agent.token)
        assert (asked.status, asked.json["code"]) == (503, "container_not_running")
        assert "hint" not in asked.json
    assert stage.daemon.inspects == 2 * [agent.container, agent.short_container]


async def check_not_running(stage: Stage, agent: Agent, reason: str) -> None:
    for method, path, body in HARD:
        asked = await stage.ask(method, agent.plugins + path, body, token=agent.token)
        assert asked.status == 503
        assert asked.error() == {
            "error": "workspace container not running",
            "code": "container_not_running",
            "state": reason,
        }
        assert "Retry-After" not in asked.answer.headers
        assert asked.events == ["container.not_running", "request.completed"]
        check_line(asked.lines[0], agent, level="info", state=reason, answer="503")
        assert asked.lines[1]["level"] == "warning"
    for method, path, body in SOFT:
        asked = await stage.ask(method, agent.plugins + path, body, token=agent.token)
        assert (asked.status, asked.answer.headers["X-Container-State"]) == (200, "not_running")
        assert asked.json == nothing_seen(path)
        assert asked.events == ["container.not_running", "request.completed"]
        check_line(asked.lines[0], agent, level="info", state=reason, answer="soft_list")


async def check_unknown(stage: Stage, agent: Agent, reason: str | None = None) -> None:
    for method, path, body in HARD:
        asked = await stage.ask(method, agent.plugins + path, body, token=agent.token)
        assert asked.status == 503
        assert asked.error() == {
            "error": "container engine unavailable — retry shortly",
            "code": "container_engine_unavailable",
        }
        assert asked.answer.headers["Retry-After"] == "5"
        assert asked.seconds < ENGINE_TIMEOUT_S + 1
        assert asked.events == ["container.check_transient", "request.completed"]
        check_line(asked.lines[0], agent, level="warning", answer="503")
        assert reason in (None, asked.lines[0]["reason"])
    for method, path, body in SOFT:
        asked = await stage.ask(method, agent.plugins + path, body, token=agent.token)
        assert (asked.status, asked.answer.headers["X-Container-State"]) == (200, "unknown")
        assert asked.json == nothing_seen(path)
        assert asked.seconds < ENGINE_TIMEOUT_S + 1
        assert asked.events == ["container.check_transient", "request.completed"]
        check_line(asked.lines[0], agent, level="warning", answer="soft_list")


def nothing_seen(path: str) -> object:
    """What a soft route answers without a container: never that all is well."""
    if not path.startswith("/compatibility"):
        return []
    return {
        "target_runtime": "claude_code",
        "compatible": [],
        "incompatible": [],
        "all_compatible": None,
    }


def check_line(line: dict[str, Any], agent: Agent, **keys: object) -> None:
    wanted = {"workspace_id": agent.id, **keys}
    assert {key: line.get(key) for key in wanted} == wanted
    assert agent.token not in json.dumps(line)


@pytest.mark.parametrize("word", REASONS)
async def test_a_container_that_does_not_run_is_the_workspaces_doing(stage: Stage, word: str) -> None:
    agent = await stage.agent(container=State(word, exit_code=137))
    await check_not_running(stage, agent, REASONS[word])
    assert set(stage.daemon.inspects) == {agent.container}


async def test_the_exit_code_is_in_the_log(stage: Stage) -> None:
    agent = await stage.agent(container=State("exited", exit_code=137))
    asked = await stage.ask("DELETE", f"{agent.plugins}/p", token=agent.token)
    check_line(asked.lines[0], agent, exit_code=137, container_name=agent.container)


async def test_a_container_that_is_missing_is_the_workspaces_doing(stage: Stage) -> None:
    await check_not_running(stage, await stage.agent(), "missing")


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_sick_engine_is_not_the_workspaces_doing(stage: Stage, fault: str) -> None:
    agent = await stage.agent(container=State())
    await stage.daemon.fault(fault)
    await check_unknown(stage, agent)


async def test_a_container_that_is_slow_to_inspect_is_not_called_dead(stage: Stage) -> None:
    agent = await stage.agent(container=State("exited", delay=3 * ENGINE_TIMEOUT_S))
    await check_unknown(stage, agent, "timeout")


async def test_a_word_that_nobody_knows_is_not_called_dead(stage: Stage) -> None:
    await check_unknown(stage, await stage.agent(container=State("resting")), "malformed")
