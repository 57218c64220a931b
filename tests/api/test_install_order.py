"""What an install answers, in which order, and that nothing is fetched before it is known to be wanted."""

from collections.abc import Iterator, Mapping
from uuid import UUID

import pytest

from tests.api.stage import Agent, Asked, Stage
from tests.support.daemon import State
from tests.support.exchange import Request
from tests.support.forge import Forge, serve
from tests.support.rogue import hang, refuse
from tests.support.wire import Answer, Reply

BODY_MAX = 4096
FETCH_S = 3.0
UNPINNED = (
    "unpinned github source: append a tag or commit SHA "
    '(e.g. "github://owner/repo#v1.2.0"). Set PLUGIN_ALLOW_UNPINNED=true to override'
)


@pytest.fixture(scope="module")
def everybodys_forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    with Forge(tmp_path_factory.mktemp("forge")) as forge:
        repository = forge.repository("owner/good")
        repository.commit({"plugin.yaml": b"version: 1"}, tag="v1")
        forge.repository("owner/bad").commit({"plugin.yaml": b"[", "a": b"1"}, tag="v1")
        yield forge


@pytest.fixture(scope="module")
def stage_settings(everybodys_forge: Forge) -> Mapping[str, str]:
    return {
        "PLUGIN_INSTALL_BODY_MAX_BYTES": str(BODY_MAX),
        "PLUGIN_INSTALL_FETCH_TIMEOUT": str(FETCH_S),
        "GITHUB_BASE_URL": everybodys_forge.url,
    }


@pytest.fixture(autouse=True)
def forge(everybodys_forge: Forge) -> Forge:
    everybodys_forge.answer = serve
    everybodys_forge.requests.clear()
    return everybodys_forge


async def install(stage: Stage, agent: Agent, body: object) -> Asked:
    return await stage.ask("POST", agent.plugins, body, token=agent.token)


async def test_each_fault_is_told_only_when_those_before_it_are_mended(stage: Stage, forge: Forge) -> None:
    agent = await stage.agent(runtime="external")
    await stage.connection.execute(
        "INSERT INTO org_plugin_allowlist (org_id, plugin_name, enabled_by) VALUES ($1, 'else', 'me')",
        UUID(agent.id),
    )
    await stage.daemon.fault("502")

    async def refused(body: object, status: int, code: str, *, token: str = agent.token) -> None:
        asked = await stage.ask("POST", agent.plugins, body, token=token)
        assert (asked.status, asked.json["code"]) == (status, code)

    await refused(b"x" * (BODY_MAX + 1), 401, "unauthorized", token="wrong")
    await refused(b"x" * (BODY_MAX + 1), 422, "external_runtime")
    await stage.connection.execute("UPDATE workspaces SET runtime = 'hermes' WHERE id = $1", UUID(agent.id))
    await refused(b"x" * (BODY_MAX + 1), 413, "body_too_large")
    await refused(b"x", 400, "invalid_body")
    await refused({"sha256": "x"}, 400, "invalid_body")
    await refused({}, 400, "source_required")
    await refused({"source": "github://bad name"}, 400, "invalid_source")
    await refused({"source": "gitlab://bad name"}, 400, "unknown_scheme")
    await refused({"source": "bad name"}, 400, "invalid_plugin_name")
    await refused({"source": "github://owner/gone"}, 422, "unpinned_source")
    gone = {"source": "github://owner/gone#v1"}
    await refused(gone, 503, "container_engine_unavailable")
    await stage.daemon.heal()
    stage.daemon.containers[agent.container] = State("exited")
    await refused(gone, 503, "container_not_running")
    stage.daemon.containers[agent.container] = State()
    await refused(gone, 403, "plugin_not_in_allowlist")
    assert forge.requests == []
    await stage.connection.execute("DELETE FROM org_plugin_allowlist")
    await refused(gone, 404, "plugin_not_at_source")
    assert forge.requests != []
    bad = {"source": "github://owner/bad", "sha256": "0" * 64}
    await refused({**bad, "source": "github://owner/bad#main"}, 422, "unpinned_source")
    await refused({**bad, "source": "github://owner/bad#v1"}, 422, "plugin_content_refused")
    await refused({**bad, "source": "github://owner/good#v1"}, 422, "plugin_integrity_failed")
    await refused({"source": "github://owner/good#v1"}, 500, "copy_failed")


async def test_without_a_pin_and_with_one_that_moves(stage: Stage, forge: Forge) -> None:
    agent = await stage.agent(container=State())
    for source in ("github://owner/good", "github://owner/good#main"):
        asked = await install(stage, agent, {"source": f"  {source}\n"})
        assert asked.status == 422
        assert asked.error() == {"error": UNPINNED, "code": "unpinned_source", "source": source}


AT_THE_SOURCE = {
    "no such plugin": ("local://nowhere", serve, 404, "plugin_not_at_source"),
    "a file": ("local://file", serve, 404, "plugin_not_at_source"),
    "no such repository": ("github://owner/gone#v1", serve, 404, "plugin_not_at_source"),
    "no such tag": ("github://owner/good#v9", serve, 404, "plugin_not_at_source"),
    "a server that fails": ("github://owner/good#v1", refuse(500), 502, "fetch_failed"),
    "a server that hangs": ("github://owner/good#v1", hang, 504, "fetch_timed_out"),
}


@pytest.mark.parametrize("case", AT_THE_SOURCE)
async def test_what_the_source_answers(stage: Stage, forge: Forge, case: str) -> None:
    source, forge.answer, status, code = AT_THE_SOURCE[case]
    agent = await stage.agent(container=State())
    plugins = stage.api.home / "plugins"
    (plugins / "file").write_text("")
    asked = await install(stage, agent, {"source": source})
    scheme = source.partition(":")[0]
    assert (asked.status, asked.json["code"]) == (status, code)
    assert asked.json["error"] == f"failed to fetch plugin from {scheme}"
    assert asked.json["source"] == source
    assert asked.seconds < FETCH_S + 5
    assert asked.events == ["plugin.install_failed", "request.completed"]
    assert (asked.lines[0]["code"], asked.lines[0]["source"]) == (code, source)
    assert str(plugins) not in asked.answer.body.decode()


async def test_parents_in_a_circle_close_the_allowlist(stage: Stage, forge: Forge) -> None:
    agent, parent = await stage.agent(container=State()), await stage.agent()
    for child, above in ((agent, parent), (parent, agent)):
        await stage.connection.execute(
            "UPDATE workspaces SET parent_id = $2 WHERE id = $1", UUID(child.id), UUID(above.id)
        )
    asked = await install(stage, agent, {"source": "github://owner/good#v1"})
    assert (asked.status, asked.json["code"]) == (503, "platform_unavailable")
    assert forge.requests == []


@pytest.mark.parametrize("then", ["exited", "502"])
async def test_a_container_that_goes_away_meanwhile_is_said_to_be_away(stage: Stage, then: str) -> None:
    agent = await stage.agent(container=State())

    async def goes_away(_: Request) -> Reply:
        if then == "exited":
            stage.daemon.containers[agent.container] = State("exited", exit_code=137)
            return Answer(409, {"message": "Container is not running"})
        stage.daemon.answer("*", Answer(502, "Bad Gateway"))
        return Answer(502, "Bad Gateway")

    stage.daemon.answer("/containers/*/exec", goes_away)
    asked = await install(stage, agent, {"source": "github://owner/good#v1"})
    code = "container_not_running" if then == "exited" else "container_engine_unavailable"
    assert (asked.status, asked.json["code"]) == (503, code)
    assert asked.json.get("state") == ("exited" if then == "exited" else None)
    assert asked.events[-2:] == ["plugin.install_failed", "request.completed"]
    assert asked.lines[-2]["code"] == code
