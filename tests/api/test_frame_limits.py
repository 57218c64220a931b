"""The rate limit: so many requests in a fixed minute, by token, else by address."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.api.conftest import StartApi
from tests.api.stage import Agent, add_agent, ask
from tests.support.api import Answer, Api
from tests.support.clock import FakeClock
from tests.support.postgres import connected

LIMIT = 5
TRUSTED = {"TRUSTED_PROXIES": "127.0.0.1,10.0.0.0/8"}


@pytest.fixture
def early(fake_clock: FakeClock) -> FakeClock:
    """A clock on which a minute has just begun, so that a test does not run into the next one."""
    fake_clock.jump(1 - time.time() % 60)
    return fake_clock


@asynccontextmanager
async def limited(
    start_api: StartApi, clock: FakeClock, **environment: str
) -> AsyncIterator[tuple[Api, Agent]]:
    async with start_api(RATE_LIMIT=str(LIMIT), **clock.environment, **environment) as api:
        async with connected(api.environment["DATABASE_URL"]) as connection:
            agent = await add_agent(connection)
        yield api, agent


async def spend(api: Api, path: str, token: str | None = None, **headers: str) -> Answer:
    """Use up a limit; the answer to the first request past it."""
    for remaining in reversed(range(LIMIT)):
        answer = await api.call("GET", path, token=token, headers=headers)
        assert answer.status != 429
        assert (answer.headers["X-RateLimit-Limit"], answer.headers["X-RateLimit-Remaining"]) == (
            str(LIMIT),
            str(remaining),
        )
        assert 1 <= int(answer.headers["X-RateLimit-Reset"]) <= 60
    return await api.call("GET", path, token=token, headers=headers)


async def test_the_answer_past_the_limit(start_api: StartApi, early: FakeClock) -> None:
    async with limited(start_api, early) as (api, agent):
        answer = await spend(api, f"/workspaces/{agent.id}", agent.token)
        assert answer.status == 429
        assert (answer.json["error"], answer.json["code"]) == ("rate limit exceeded", "rate_limited")
        assert 1 <= answer.json["retry_after"] <= 60
        for name in ("Retry-After", "X-RateLimit-Reset"):
            assert answer.headers[name] == str(answer.json["retry_after"])
        assert answer.headers["X-RateLimit-Remaining"] == "0"
        asked = await ask(api, "GET", f"/workspaces/{agent.id}", token=agent.token)
        assert asked.events == ["request.limited", "request.completed"]
        assert (asked.lines[0]["level"], asked.lines[0]["limit"]) == ("info", LIMIT)


async def test_it_ends_with_the_minute(start_api: StartApi, early: FakeClock) -> None:
    async with limited(start_api, early) as (api, _):
        assert (await spend(api, "/plugins")).status == 429
        early.jump(1 - time.time() % 60 + 57)
        answer = await api.call("GET", "/plugins")
        assert (answer.status, answer.json["retry_after"] <= 3) == (429, True)
        early.jump(1 - time.time() % 60 + 60)
        answer = await api.call("GET", "/plugins")
        assert (answer.status, answer.headers["X-RateLimit-Remaining"]) == (200, str(LIMIT - 1))


async def test_each_token_has_its_own(start_api: StartApi, early: FakeClock) -> None:
    async with limited(start_api, early) as (api, agent):
        async with connected(api.environment["DATABASE_URL"]) as connection:
            other = await add_agent(connection)
        for path, token in (
            (f"/workspaces/{agent.id}", agent.token),
            (f"/workspaces/{other.id}", other.token),
            (f"/workspaces/{other.id}", api.admin_token),
            ("/plugins", None),
        ):
            assert (await spend(api, path, token)).status == 429


async def test_wrong_tokens_are_counted_by_address(start_api: StartApi, early: FakeClock) -> None:
    """Guessing is limited, and does not use up what the real token has."""
    async with limited(start_api, early) as (api, agent):
        for number in range(LIMIT):
            answer = await api.call("GET", f"/workspaces/{agent.id}", token=f"guess-{number}")
            assert answer.status == 401
        for token in ("guess", None):
            assert (await api.call("GET", f"/workspaces/{agent.id}", token=token)).status == 429
        assert (await api.call("GET", "/plugins")).status == 429
        assert (await spend(api, f"/workspaces/{agent.id}", agent.token)).status == 429


async def test_heartbeats_and_the_process_itself_are_not_limited(
    start_api: StartApi, early: FakeClock
) -> None:
    async with limited(start_api, early) as (api, agent):
        assert (await spend(api, "/plugins")).status == 429
        beat = {"workspace_id": agent.id}
        for _ in range(2 * LIMIT):
            answers = [await api.call("GET", path) for path in ("/health", "/ready", "/metrics")]
            answers.append(await api.call("POST", "/registry/heartbeat", beat, token=agent.token))
            for answer in answers:
                assert answer.status == 200
                assert "X-RateLimit-Limit" not in answer.headers
        assert (await api.call("POST", "/registry/heartbeat", beat)).status == 401


async def test_a_client_cannot_say_who_it_is(start_api: StartApi, early: FakeClock) -> None:
    async with limited(start_api, early) as (api, _):
        for number in range(LIMIT):
            await api.call("GET", "/plugins", headers={"X-Forwarded-For": f"203.0.113.{number}"})
        answer = await api.call("GET", "/plugins", headers={"X-Forwarded-For": "203.0.113.99"})
        assert answer.status == 429


async def test_a_trusted_proxy_can(start_api: StartApi, early: FakeClock) -> None:
    async with limited(start_api, early, **TRUSTED) as (api, _):
        assert (await spend(api, "/plugins", None, **{"X-Forwarded-For": "203.0.113.1"})).status == 429
        for same in ("198.51.100.7, 203.0.113.1", "203.0.113.1, 10.1.2.3", "nonsense,203.0.113.1"):
            answer = await api.call("GET", "/plugins", headers={"X-Forwarded-For": same})
            assert answer.status == 429, same
        for other in ("203.0.113.1, 203.0.113.2", "203.0.113.1, 2001:db8::1", ""):
            answer = await api.call("GET", "/plugins", headers={"X-Forwarded-For": other})
            assert answer.status == 200, other


async def test_a_proxy_that_adds_a_line_of_its_own_is_believed(start_api: StartApi, early: FakeClock) -> None:
    """What the client sends stands in the line before, as HAProxy leaves it."""
    async with limited(start_api, early, **TRUSTED) as (api, _):
        for number in range(LIMIT + 1):
            lines = [("X-Forwarded-For", f"198.51.100.{number}"), ("X-Forwarded-For", "203.0.113.1")]
            async with api.session.get("/plugins", headers=lines) as answer:
                assert answer.status == (200 if number < LIMIT else 429)


async def test_a_fleet_behind_one_address_can_register(start_api: StartApi, early: FakeClock) -> None:
    async with limited(start_api, early) as (api, _):
        async with connected(api.environment["DATABASE_URL"]) as connection:
            fleet = [await add_agent(connection, runtime="external") for _ in range(LIMIT + 2)]
        for agent in fleet:
            body = {"id": agent.id, "agent_card": {}}
            answer = await api.call("POST", "/registry/register", body, token=agent.token)
            assert (answer.status, answer.headers["X-RateLimit-Remaining"]) == (200, str(LIMIT - 1))
        for status in [401] * LIMIT + [429]:
            answer = await api.call("POST", "/registry/register", body, token="guess")
            assert answer.status == status


async def test_0_is_no_limit(start_api: StartApi, short_directory: Path) -> None:
    async with start_api(RATE_LIMIT="0") as api:
        answers = await asyncio.gather(*(api.call("GET", "/plugins") for _ in range(100)))
        assert {answer.status for answer in answers} == {200}
        assert "X-RateLimit-Limit" not in answers[0].headers
