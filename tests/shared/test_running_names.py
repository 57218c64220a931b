"""Which names are asked for, in which order, and how long both may take together."""

import asyncio
import time

import pytest

from shared.engine import Engine
from shared.running import NotRunning, Running
from tests.shared.question import FULL, INSPECT, NO_SUCH_CONTAINER, SHORT, answered, unknown
from tests.support.daemon import FakeDaemon, State, container_id
from tests.support.wire import FAULTS, NO_SOCKET, REFUSED, Answer, Close, Hang, Reply, Slow, redirect

MISSING = Answer(404, NO_SUCH_CONTAINER)


def path(name: str) -> str:
    return f"/containers/{name}/json"


async def test_the_full_name_is_asked_for_first_and_alone(fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.containers = {FULL: State("running"), SHORT: State("exited")}
    answer = await answered(engine, unique=True)
    assert answer == Running(FULL, container_id(FULL, State()), State().started_at)
    assert fake_daemon.inspects == [FULL]


@pytest.mark.parametrize("word", ["created", "exited", "paused", "restarting", "removing", "dead"])
async def test_its_no_is_an_answer_too(word: str, fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.containers = {FULL: State(word), SHORT: State("running")}
    answer = await answered(engine, unique=True)
    assert isinstance(answer, NotRunning)
    assert (answer.container_name, answer.reason) == (FULL, word)
    assert fake_daemon.inspects == [FULL]


async def test_the_short_name_follows_a_definite_404(fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.containers = {SHORT: State("running")}
    answer = await answered(engine, unique=True)
    assert answer == Running(SHORT, container_id(SHORT, State()), State().started_at)
    assert fake_daemon.inspects == [FULL, SHORT]


async def test_what_is_said_of_the_short_name_is_the_answer(fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.containers = {SHORT: State("exited", exit_code=137)}
    answer = await answered(engine, unique=True)
    assert answer == NotRunning(SHORT, "exited", 137, State().finished_at)


async def test_missing_by_both_names_is_missing(fake_daemon: FakeDaemon, engine: Engine) -> None:
    assert await answered(engine, unique=True) == NotRunning(FULL, "missing")
    assert fake_daemon.inspects == [FULL, SHORT]


async def test_a_short_name_that_others_share_is_never_asked_for(
    fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.containers = {SHORT: State("running")}
    assert await answered(engine, unique=False) == NotRunning(FULL, "missing")
    assert fake_daemon.inspects == [FULL]


UNKNOWN = [
    pytest.param(Answer(404, {"message": "page not found"}), "refused", id="another 404"),
    pytest.param(Answer(404), "refused", id="404 without a body"),
    *(
        pytest.param(Answer(status, NO_SUCH_CONTAINER), "refused", id=f"{status} with the words")
        for status in (400, 409, 500)
    ),
    pytest.param(Answer(302, "", {"Location": "/login"}), "refused", id="redirect"),
    pytest.param(redirect("/containers/other/json"), "refused", id="redirect to another container"),
    pytest.param(Answer(200, {"State": None}), "malformed", id="malformed"),
    pytest.param(Answer(200, {"Id": "a" * 64}), "malformed", id="no state"),
    pytest.param(Answer(200, {"State": {"Status": "something"}}), "malformed", id="another word"),
    pytest.param(Answer(200, []), "malformed", id="a list"),
    pytest.param(Close(), "unreachable", id="EOF"),
]


@pytest.mark.parametrize(("reply", "reason"), UNKNOWN)
async def test_unknown_by_the_full_name_is_unknown_and_ends_it(
    reply: Reply, reason: str, fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.containers = {SHORT: State("running")}
    fake_daemon.answer(path(FULL), reply)
    assert (await unknown(engine, unique=True)).reason == reason
    assert set(fake_daemon.inspects) == {FULL}


@pytest.mark.parametrize(("reply", "reason"), UNKNOWN)
async def test_unknown_by_the_short_name_is_unknown_although_the_full_one_is_missing(
    reply: Reply, reason: str, fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.answer(path(SHORT), reply)
    assert (await unknown(engine, unique=True)).reason == reason
    assert set(fake_daemon.inspects) == {FULL, SHORT}


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in (REFUSED, NO_SOCKET)])
async def test_a_sick_engine_is_asked_no_second_name(
    fault: str, fake_daemon: FakeDaemon, hasty_engine: Engine
) -> None:
    await answered(hasty_engine)  # the version is known, so the question is an inspect
    fake_daemon.reset()
    await fake_daemon.fault(fault)
    await unknown(hasty_engine, unique=True)
    assert set(fake_daemon.inspects) == {FULL}


async def test_the_id_is_of_the_answer_that_said_running(fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.containers = {FULL: State("running", id="aa" * 32)}
    first = await answered(engine)
    fake_daemon.containers = {FULL: State("running", id="bb" * 32)}
    second = await answered(engine)
    assert isinstance(first, Running)
    assert isinstance(second, Running)
    assert (first.container_id, second.container_id) == ("aa" * 32, "bb" * 32)


async def test_a_container_whose_id_or_name_begins_alike_is_another_one(
    fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.containers = {f"{FULL}-old": State("running"), f"{SHORT}d": State("running")}
    assert await answered(engine, unique=True) == NotRunning(FULL, "missing")


# Time: one deadline over everything that an answer takes


async def times_out(engine: Engine, *, unique: bool = True) -> None:
    """Each answer comes within 0.21 s, both together do not within the deadline of 0.4 s."""
    began = time.monotonic()
    assert (await unknown(engine, unique=unique)).reason == "timeout"
    assert 0.35 < time.monotonic() - began < 4


async def test_the_deadline_covers_both_names(fake_daemon: FakeDaemon, hasty_engine: Engine) -> None:
    await answered(hasty_engine)  # connected, and the version is known
    fake_daemon.answer(INSPECT, Slow(0.21, MISSING))
    await times_out(hasty_engine)
    assert fake_daemon.inspects[-2:] == [FULL, SHORT]


async def test_the_deadline_covers_the_version_too(fake_daemon: FakeDaemon, hasty_engine: Engine) -> None:
    fake_daemon.answer("/version", Slow(0.21))
    fake_daemon.answer(INSPECT, Slow(0.21, MISSING))
    await times_out(hasty_engine, unique=False)


async def test_one_that_hangs_keeps_nobody_else_waiting(fake_daemon: FakeDaemon, engine: Engine) -> None:
    fake_daemon.containers[SHORT] = State("running")
    fake_daemon.answer(path(FULL), Hang())
    hanging = asyncio.create_task(answered(engine))
    await asyncio.sleep(0.05)
    fake_daemon.answer(path(FULL), MISSING)
    async with asyncio.timeout(2):
        assert isinstance(await answered(engine, unique=True), Running)
    assert not hanging.done()
    hanging.cancel()


# Cancelled: the caller's own, whatever is going on


async def test_a_deadline_of_the_callers_own_stays_the_callers(
    fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.answer(INSPECT, Hang())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await answered(engine)


@pytest.mark.parametrize("name", [FULL, SHORT])
async def test_cancelled_while_asking_for_either_name(
    name: str, fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.answer(path(name), Hang())
    asking = asyncio.create_task(answered(engine, unique=True))
    while name not in fake_daemon.inspects:
        await asyncio.sleep(0.01)
    asking.cancel("enough")
    with pytest.raises(asyncio.CancelledError, match="enough"):
        await asking


async def test_after_a_cancellation_the_next_question_is_answered(
    fake_daemon: FakeDaemon, engine: Engine
) -> None:
    fake_daemon.answer(INSPECT, Hang(), times=1)
    asking = asyncio.create_task(answered(engine))
    while not fake_daemon.inspects:
        await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.wait([asking])
    fake_daemon.containers[FULL] = State("paused")
    answer = await answered(engine)
    assert isinstance(answer, NotRunning)
    assert answer.reason == "paused"
