"""Who may call what: every route of the table with every kind of caller."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from api import app
from api.routes import Route
from tests.api.conftest import StartApi
from tests.support.api import Answer, Api
from tests.support.postgres import PostgresServer, connected
from tests.support.rows import add_row, add_token


class _Nobody:
    """Stands where the table wants handlers: the matrix asks only for the table."""

    def __getattr__(self, name: str) -> Any:
        return None


_HANDLERS = ("process", "plugins", "downloads", "allowlists", "agents", "workspaces", "tokens")
_nobodies: dict[str, Any] = dict.fromkeys(_HANDLERS, _Nobody())
ROUTES = app.route_table(**_nobodies)._routes

MISSING = (401, "missing workspace auth token")
INVALID = (401, "invalid workspace auth token")
NO_ADMIN = (401, "admin auth required")
WRONG_ADMIN = (401, "invalid admin auth token")
BAD_ID = (400, "invalid workspace ID")
NOT_FOUND = (404, "workspace not found")
REMOVED = (404, "workspace removed")
ADMITTED = None


@dataclass(frozen=True, slots=True)
class Scene:
    """Ids and tokens, by what the matrix calls them."""

    ids: dict[str, str]
    tokens: dict[str, str | None]


@pytest.fixture
async def scene(api: Api, database: asyncpg.Connection) -> Scene:
    own, other, removed = [await add_row(database, status) for status in ("online", "online", "removed")]
    return Scene(
        ids={"own": own, "removed": removed, "unknown": str(uuid4()), "malformed": "no-uuid"},
        tokens={
            "nobody": None,
            "own token": await add_token(database, own),
            "wrong token": "never-issued",
            "other's token": await add_token(database, other),
            "revoked token": await add_token(database, own, revoked=True),
            "removed's token": await add_token(database, removed),
            "removed's revoked token": await add_token(database, removed, revoked=True),
            "admin": api.admin_token,
        },
    )


CALLERS = (
    "nobody",
    "basic",
    "own token",
    "wrong token",
    "other's token",
    "revoked token",
    "removed's token",
    "removed's revoked token",
    "admin",
)


def of_workspace(route: Route, caller: str, about: str) -> tuple[int, str] | None:
    """Strict: a foreign, an unknown and a malformed id answer as a bad token does."""
    if caller == "admin":
        return {"own": ADMITTED, "malformed": BAD_ID}.get(about, NOT_FOUND)
    if caller in ("nobody", "basic"):
        return MISSING
    if about == "own" and caller == "own token":
        return ADMITTED
    if about == "removed" and caller.startswith("removed's") and route.tells_removed:
        return REMOVED
    return INVALID


def of_admin(_route: Route, caller: str, about: str) -> tuple[int, str] | None:
    if caller in ("nobody", "basic"):
        return NO_ADMIN
    if caller != "admin":
        return WRONG_ADMIN
    return ADMITTED if about == "own" else None


def of_boot(route: Route, caller: str, about: str) -> tuple[int, str] | None:
    """The id stands in the body, so what is no id is said first."""
    if about in ("malformed", "unknown"):
        return BAD_ID if about == "malformed" else NOT_FOUND
    if caller == "admin":
        return ADMITTED if about == "own" else NOT_FOUND
    if caller in ("nobody", "basic"):
        return MISSING
    if about == "own" and caller == "own token":
        return ADMITTED
    if about == "removed" and caller.startswith("removed's") and route.path == "/registry/heartbeat":
        return REMOVED
    return INVALID


EXPECTED = {"workspace": of_workspace, "admin": of_admin, "boot": of_boot}
CLOSED = [route for route in ROUTES if route.access != "open"]


async def call(api: Api, scene: Scene, route: Route, caller: str, about: str) -> Answer:
    workspace_id = scene.ids[about]
    path = route.path.format(id=workspace_id, name="a-plugin", token_id=uuid4())
    body: Any = None
    if route.access == "boot":
        body = {"id": workspace_id, "workspace_id": workspace_id, "agent_card": {}, "delivery_mode": "poll"}
    elif route.path == "/workspaces" and route.method == "POST":
        body = {"name": "made by the matrix"}
    elif route.method in ("POST", "PUT"):
        body = []
    if caller == "basic":
        return await api.call(route.method, path, body, headers={"Authorization": "Basic abc"})
    return await api.call(route.method, path, body, token=scene.tokens[caller])


def test_the_matrix_has_no_hole() -> None:
    assert {route.access for route in ROUTES} == {"open", *EXPECTED}
    assert {route.path for route in ROUTES if route.access == "open"} == {
        "/health",
        "/ready",
        "/metrics",
        "/openapi.yaml",
        "/plugins",
        "/plugins/sources",
    }
    assert [route.path for route in ROUTES if route.tells_removed] == ["/workspaces/{id}/state"]
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES) >= 26


@pytest.mark.parametrize("route", CLOSED, ids=lambda route: f"{route.method} {route.path}")
async def test_who_may_call(api: Api, scene: Scene, route: Route) -> None:
    everybody = [
        (caller, about)
        for about in ("malformed", "unknown", "removed", "own")
        for caller in CALLERS
        if "{id}" in route.path or route.access == "boot" or about == "own"
    ]
    admitted = []
    for caller, about in everybody:
        expected = EXPECTED[route.access](route, caller, about)
        if expected is ADMITTED:
            admitted.append((caller, about))
            continue
        here = api.position
        answer = await call(api, scene, route, caller, about)
        assert (answer.status, answer.json["error"]) == expected, f"{caller} for {about}"
        assert ("WWW-Authenticate" in answer.headers) == (answer.status == 401)
        rejected = await rejection(api, answer, after=here)
        if expected in (MISSING, NO_ADMIN):
            assert rejected["why"] == ("malformed" if caller == "basic" else "missing")
        elif expected[0] == 401:
            assert rejected["why"] in ("mismatch", "revoked", "removed")
            assert rejected["token_prefix"] == (scene.tokens[caller] or "")[:8]
        else:
            assert rejected == {}
    for caller, about in admitted:  # last, for one of the routes removes the workspace
        answer = await call(api, scene, route, caller, about)
        assert answer.status not in (401, 403, 500), f"{caller} for {about}: {answer}"
    assert admitted


async def rejection(api: Api, answer: Answer, *, after: int) -> dict[str, Any]:
    """The line that says why, once the request's own line is here."""
    await api.event("request.completed", after=after, request_id=answer.json["request_id"])
    lines = api.events("auth.rejected", after=after, request_id=answer.json["request_id"])
    assert len(lines) <= 1
    return dict(lines[0]) if lines else {}


async def test_without_an_admin_token_the_operators_routes_are_closed(start_api: StartApi) -> None:
    async with start_api(ADMIN_TOKEN="") as api:
        for token, error in ((None, NO_ADMIN), ("", NO_ADMIN), ("anything", WRONG_ADMIN)):
            answer = await api.call("GET", "/workspaces", token=token)
            assert (answer.status, answer.json["error"]) == error


async def test_a_workspace_without_a_token_is_closed(api: Api, database: asyncpg.Connection) -> None:
    row = await add_row(database)
    for token, expected in ((None, MISSING), ("anything", INVALID)):
        answer = await api.call("GET", f"/workspaces/{row}/state", token=token)
        assert (answer.status, answer.json["error"]) == expected


async def test_who_cannot_be_checked_is_not_let_in(
    private_postgres: PostgresServer, start_api: StartApi
) -> None:
    url = await private_postgres.create_migrated_database()
    async with connected(url) as connection:
        row = await add_row(connection)
        token = await add_token(connection, row)
    async with start_api(DATABASE_URL=url) as api:
        await private_postgres.stop()
        scene = Scene({"own": row}, {"own token": token, "admin": api.admin_token, "wrong token": "wrong"})
        for route in CLOSED:
            for caller in scene.tokens:
                if route.access == "admin" and caller != "admin":
                    continue
                answer = await call(api, scene, route, caller, "own")
                unavailable = (503, "platform datastore unavailable — retry shortly", "platform_unavailable")
                if route.path == "/orgs/{id}/plugins/allowlist" and route.method == "PUT":
                    assert answer.status in (400, 503)
                else:
                    assert (answer.status, answer.json["error"], answer.json["code"]) == unavailable, route
                    assert "Retry-After" in answer.headers
        await private_postgres.start()


async def test_a_wrong_method_and_an_unknown_path(api: Api) -> None:
    answer = await api.call("PATCH", "/registry/heartbeat")
    assert (answer.status, answer.headers["Allow"], answer.json["code"]) == (
        405,
        "POST",
        "method_not_allowed",
    )
    answer = await api.call("GET", "/registry/nothing")
    assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_request_ids_are_the_callers_where_they_are_fit(api: Api, database: asyncpg.Connection) -> None:
    row = await add_row(database)
    for asked, kept in (("my-request.1", True), ("x" * 64, True), ("x" * 65, False), ("a b", False)):
        answer = await api.call("GET", f"/workspaces/{row}/state", headers={"X-Request-Id": asked})
        assert (answer.headers["X-Request-Id"] == asked) is kept
        assert answer.json["request_id"] == answer.headers["X-Request-Id"]


async def test_refused_callers_are_limited_by_their_address(start_api: StartApi, database_url: str) -> None:
    async with start_api(RATE_LIMIT="5") as api, connected(database_url) as connection:
        row = await add_row(connection)
        token = await add_token(connection, row)
        path = f"/workspaces/{row}/state"
        statuses = [(await api.call("GET", path, token="guess")).status for _ in range(7)]
        assert statuses.count(429) >= 1, "unless the minute ended amid them"
        assert (await api.call("GET", path, token=token)).status == 200
