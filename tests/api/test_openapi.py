"""api/openapi.yaml is what the api does: the same routes, the same codes, and each answer as it is declared.

That every status, header and body which the tests see is declared is checked where they see it, in
`tests.support.api`; here is that this check can fail.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from openapi_spec_validator import validate

from api.app import application
from api.errors import ApiError
from shared.settings import Settings
from tests.support.api import Api
from tests.support.description import DESCRIPTION
from tests.support.processes import CHECKOUT

DESCRIBED = {(method, path) for method, path, _ in DESCRIPTION.operations()}
HEADERS = {
    "X-Request-Id": "0",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Type": "application/json; charset=utf-8",
}


def test_the_document_is_valid() -> None:
    validate(DESCRIPTION.document)


async def test_methods_and_paths_are_those_of_the_live_router(short_directory: Path) -> None:
    settings = Settings.load(
        {"DATABASE_URL": "postgresql://nobody", "HEALTHSWEEP_HOME": str(short_directory)}
    )
    async with application(settings) as (app, *_):
        live = set(_routes(app))
    heads = {route for route in live if route[0] == "HEAD"}
    assert live - heads == DESCRIBED
    assert heads == {("HEAD", path) for method, path in DESCRIBED if method == "GET"}


def _routes(app: web.Application) -> Iterator[tuple[str, str]]:
    for route in app.router.routes():
        assert route.resource is not None
        yield route.method, route.resource.canonical


async def test_it_is_served(api: Api) -> None:
    answer = await api.call("GET", "/openapi.yaml")
    assert answer.body == (CHECKOUT / "api" / "openapi.yaml").read_bytes()


def test_its_codes_are_those_of_the_errors() -> None:
    declared = DESCRIPTION.document["components"]["schemas"]["Error"]["properties"]["code"]["enum"]
    known = {error.code for error in _below(ApiError)}
    assert declared == sorted(known)


def _below(error: type[ApiError]) -> Iterator[type[ApiError]]:
    for child in error.__subclasses__():
        yield child
        yield from _below(child)


def test_every_error_of_a_route_is_a_status_that_an_error_has() -> None:
    known = {str(error.status) for error in _below(ApiError)}
    for method, path, operation in DESCRIPTION.operations():
        odd = {status for status in operation["responses"] if status >= "400"} - known
        assert not odd, f"{method} {path} declares {odd}"


def test_every_route_has_a_curl_in_the_docs() -> None:
    text = (CHECKOUT / "docs" / "api.md").read_text()
    shown = set()
    for command in re.findall(r"^curl .+?(?<!\\)$", text, re.MULTILINE | re.DOTALL):
        address = re.search(r"\$URL(/[^\s\"'?]*)", command)
        assert address, command
        named = re.search(r"-X (\w+)", command)
        known = DESCRIPTION.find(re.sub(r"\$\w+", "x", address[1]))
        method = named[1] if named else "POST" if " -d " in command else "GET"
        shown.add((method, known))
    assert shown == DESCRIBED


@pytest.mark.parametrize(
    ("status", "body", "left_out", "problem"),
    [
        (418, {}, None, "not declared"),
        (200, {"status": "well"}, None, "not as declared"),
        (200, {}, None, "not as declared"),
        (200, {"status": "ok"}, "X-Request-Id", "without X-Request-Id"),
        (200, {"status": "ok"}, "Content-Type", "as "),
    ],
)
def test_what_is_not_declared_is_noticed(
    status: int, body: object, left_out: str | None, problem: str
) -> None:
    headers = {name: value for name, value in HEADERS.items() if name != left_out}
    with pytest.raises(AssertionError, match=problem):
        DESCRIPTION.check("GET", "/health", status, headers, json.dumps(body).encode())


@pytest.mark.parametrize(("method", "path"), [("GET", "/nowhere"), ("PUT", "/health")])
def test_what_is_not_routed_may_answer_nothing_else(method: str, path: str) -> None:
    with pytest.raises(AssertionError, match="not routed"):
        DESCRIPTION.check(method, path, 200, HEADERS, b"{}")
