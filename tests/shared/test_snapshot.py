"""What one list says of everybody, read by the same classifier as an inspect."""

import time
from uuid import UUID, uuid4

import pytest

from shared.engine import Engine
from shared.errors import EngineError
from shared.ids import container_name
from shared.running import NotRunning, Running, Snapshot, container_snapshot
from tests.shared.question import (
    FULL,
    HTML,
    ID,
    JSON,
    NO_SUCH_CONTAINER,
    SHORT,
    WORKSPACE,
    by_inspect,
    by_list,
)
from tests.support.daemon import FakeDaemon, State, container_id
from tests.support.wire import FAULTS, Answer

LIST = "/containers/json"
DOCKERS_WORDS = ("running", "created", "exited", "paused", "restarting", "removing")
PODMANS_WORDS = ("stopped", "stopping", "initialized")


def seen(snapshot: Snapshot, workspace_id: UUID = WORKSPACE, *, unique: bool = True) -> Running | NotRunning:
    return snapshot.state(workspace_id, short_name_is_unique=unique)


@pytest.mark.parametrize("name", [FULL, SHORT], ids=["full name", "short name"])
@pytest.mark.parametrize("word", [*DOCKERS_WORDS, *PODMANS_WORDS, "zombie", "Running", "", "missing"])
async def test_list_and_inspect_agree(word: str, name: str, fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.containers[name] = State(word)
    assert await by_list(engine) == await by_inspect(engine)


async def test_they_agree_on_nobody_at_all(fake_daemon: FakeDaemon, engine: Engine) -> None:
    assert await by_list(engine) == await by_inspect(engine) == ("not running", FULL, "missing")


async def test_docker_lists_a_dead_one_as_being_removed(fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.containers[FULL] = State("dead")
    assert await by_list(engine) == ("not running", FULL, "removing")
    assert await by_inspect(engine) == ("not running", FULL, "dead")


@pytest.mark.parametrize("fault", FAULTS)
async def test_they_agree_on_an_engine_that_is_sick(
    fault: str, fake_daemon: FakeDaemon, hasty_engine: Engine
) -> None:
    await fake_daemon.fault(fault)
    assert await by_list(hasty_engine) == await by_inspect(hasty_engine)


async def test_one_list_answers_for_a_thousand(fake_daemon: FakeDaemon, engine: Engine) -> None:
    workspaces = [uuid4() for _ in range(1000)]
    fake_daemon.containers = {container_name(workspace): State() for workspace in workspaces}
    snapshot = await container_snapshot(engine)
    assert all(isinstance(seen(snapshot, workspace), Running) for workspace in workspaces)
    assert (fake_daemon.lists, fake_daemon.inspects, engine.inspects) == (1, [], 0)


async def test_a_busy_container_does_not_slow_it(fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.containers = {FULL: State("running", delay=5)}
    began = time.monotonic()
    assert isinstance(seen(await container_snapshot(engine)), Running)
    assert time.monotonic() - began < 2


# Names


async def test_the_full_name_comes_first(fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.containers = {SHORT: State("running"), FULL: State("paused")}
    assert seen(await container_snapshot(engine)) == NotRunning(FULL, "paused")


async def test_the_short_name_counts_where_it_is_unique(fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.containers = {SHORT: State("running")}
    snapshot = await container_snapshot(engine)
    assert seen(snapshot) == Running(SHORT, container_id(SHORT, State()))
    assert seen(snapshot, unique=False) == NotRunning(FULL, "missing")


@pytest.mark.parametrize(
    "names",
    [[f"/{FULL}"], [FULL], ["/else", f"/{FULL}"], [7, None, f"/{FULL}"]],
    ids=["dockerd", "podman", "one of several", "one among oddities"],
)
async def test_a_name_with_or_without_its_slash(
    names: list[object], fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.answer(LIST, Answer(200, [{"Id": ID, "Names": names, "State": "running"}]))
    assert seen(await container_snapshot(engine)) == Running(FULL, ID)


# One odd entry


@pytest.mark.parametrize(
    "names", [None, "", FULL, 5, {}, [], [None], [["x"]], [{"a": 1}]], ids=lambda names: f"names {names!r}"
)
async def test_an_entry_without_a_usable_name_is_passed_over(
    names: object, fake_daemon: FakeDaemon, engine: Engine
) -> None:
    entries = [
        {"Id": "aa", "Names": names, "State": "running"},
        {"Id": "bb", "State": "running"},
        {},
        {"Id": ID, "Names": [f"/{FULL}"], "State": "running"},
    ]
    fake_daemon.answer(LIST, Answer(200, entries))
    assert seen(await container_snapshot(engine)) == Running(FULL, ID)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"State": "running"}, id="no Id"),
        pytest.param({"Id": None, "State": "running"}, id="Id null"),
        pytest.param({"Id": "../x", "State": "running"}, id="Id a path"),
        pytest.param({"Id": "aa"}, id="no State"),
        pytest.param({"Id": "aa", "State": None}, id="State null"),
        pytest.param({"Id": "aa", "State": {"Status": "running"}}, id="State an object"),
        pytest.param({"Id": "aa", "State": "Up 3 hours"}, id="another word"),
    ],
)
async def test_an_entry_that_cannot_be_read_is_unknown_and_no_other_is(
    entry: dict[str, object], fake_daemon: FakeDaemon, engine: Engine
) -> None:
    other = uuid4()
    entries = [
        {"Names": [f"/{FULL}"], **entry},
        {"Id": ID, "Names": [f"/{container_name(other)}"], "State": "running"},
    ]
    fake_daemon.answer(LIST, Answer(200, entries))
    snapshot = await container_snapshot(engine)
    with pytest.raises(EngineError) as caught:
        seen(snapshot)
    assert caught.value.reason == "malformed"
    assert seen(snapshot, other) == Running(container_name(other), ID)


# No list at all


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(200, b"null", JSON), id="null"),
        pytest.param(Answer(200, b"{}", JSON), id="empty object"),
        pytest.param(Answer(200, {"message": "ok"}), id="object"),
        pytest.param(Answer(200, b"[null]", JSON), id="array of null"),
        pytest.param(Answer(200, ["running"]), id="array of texts"),
        pytest.param(
            Answer(200, [{"Id": ID, "Names": [FULL], "State": "running"}, 1]), id="one is no object"
        ),
        pytest.param(Answer(200, b'""', JSON), id="empty JSON text"),
        pytest.param(Answer(200, b"", JSON), id="nothing that is called JSON"),
        pytest.param(Answer(200, ""), id="empty text"),
        pytest.param(Answer(200, b"[", JSON), id="JSON without its end"),
        pytest.param(Answer(200, "<html>Welcome</html>", HTML), id="HTML"),
        pytest.param(Answer(204), id="204"),
        pytest.param(Answer(304), id="304"),
    ],
)
async def test_a_list_that_is_none_is_malformed_and_never_empty(
    answer: Answer, fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.answer(LIST, answer)
    assert await by_list(engine) == ("unknown", "malformed")


@pytest.mark.parametrize("path", [LIST, "/version"])
async def test_no_such_container_is_no_answer_to_another_question(
    path: str, fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.answer(path, Answer(404, NO_SUCH_CONTAINER))
    assert await by_list(engine) == ("unknown", "refused")
    if path == "/version":
        assert await by_inspect(engine) == ("unknown", "refused")
