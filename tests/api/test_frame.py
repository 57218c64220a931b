"""What is true of every answer, whatever the route: ids, headers, sizes, origins, and what is never said."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.api.conftest import StartApi
from tests.api.stage import Agent, add_agent, ask
from tests.support.api import Api
from tests.support.description import DESCRIPTION
from tests.support.postgres import connected

MIB = 2**20
BODIES = {
    "/registry/register": "POST",
    "/registry/heartbeat": "POST",
    "/registry/update-card": "POST",
    "/workspaces": "POST",
    "/orgs/{id}/plugins/allowlist": "PUT",
}
BROKEN = {
    "no HTTP": b"hello\r\n\r\n",
    "a version that there is not": b"GET /health HTTP/9.9\r\nHost: x\r\n\r\n",
    "a method that there is not": b"FOO /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "a header with NUL": b"GET /health HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
    "a long header": b"GET /health HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20_000 + b"\r\n\r\n",
    "a long path": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "no length": b"POST /workspaces HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
    "two lengths": b"POST /workspaces HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bad chunk": b"POST /workspaces HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "an expectation": b"GET /health HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\nConnection: close\r\n\r\n",
}


@pytest.fixture
async def agent(api: Api) -> AsyncIterator[Agent]:
    async with connected(api.environment["DATABASE_URL"]) as connection:
        yield await add_agent(connection, runtime="external")


@pytest.mark.parametrize("request_id", ["a", "A.b_c-9", "x" * 64])
async def test_the_callers_request_id_is_kept(api: Api, request_id: str) -> None:
    for path in ("/health", "/nowhere", "/workspaces"):
        answer = await api.call("GET", path, headers={"X-Request-Id": request_id})
        assert answer.headers["X-Request-Id"] == request_id
    assert answer.json["request_id"] == request_id
    line = await api.event("request.completed", route="/workspaces", request_id=request_id)
    assert line["status"] == 401


@pytest.mark.parametrize("request_id", ["", "x" * 65, "a b", "a/b", "a;b", '"', "ä"])
async def test_any_other_request_id_is_replaced(api: Api, request_id: str) -> None:
    answers = [await api.call("GET", "/nowhere", headers={"X-Request-Id": request_id}) for _ in range(2)]
    ids = {answer.headers["X-Request-Id"] for answer in answers}
    assert len(ids) == 2
    for answer in answers:
        assert re.fullmatch("[0-9a-f]{16}", answer.headers["X-Request-Id"])
        assert answer.json["request_id"] == answer.headers["X-Request-Id"]


async def test_the_headers_of_every_answer(api: Api, agent: Agent) -> None:
    plugin = Path(api.environment["HEALTHSWEEP_HOME"]) / "plugins" / "framed"
    plugin.mkdir(exist_ok=True)
    (plugin / "plugin.yaml").write_text("version: 1.0.0\n")
    download = f"{agent.plugins}/framed/download"
    asked: list[tuple[str, str, Mapping[str, str], int]] = [
        ("GET", "/health", {}, 200),
        ("HEAD", "/health", {}, 200),
        ("GET", "/metrics", {}, 200),
        ("GET", "/openapi.yaml", {}, 200),
        ("GET", "/workspaces", {}, 401),
        ("GET", "/nowhere", {}, 404),
        ("GET", "/workspaces/a/b/c/d/e", {}, 404),
        ("PUT", "/health", {}, 405),
        ("GET", agent.plugins, {}, 200),
        ("DELETE", f"{agent.plugins}/framed", {}, 422),
        ("GET", download, {}, 200),
        ("HEAD", download, {}, 200),
        ("GET", download, {"Range": "bytes=1-2"}, 206),
        ("GET", download, {"If-None-Match": "*"}, 304),
        ("GET", download, {"Range": "bytes=999999-"}, 416),
        ("GET", f"{agent.plugins}/nowhere/download", {}, 404),
    ]
    for method, path, headers, status in asked:
        token = agent.token if agent.id in path else None
        answer = await api.call(method, path, token=token, headers=headers)
        assert answer.status == status, (method, path)
        assert re.fullmatch("[0-9a-f]{16}", answer.headers["X-Request-Id"])
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        downloaded = path == download and status < 400
        assert answer.headers["Cache-Control"] == ("private, no-cache" if downloaded else "no-store")
        assert "Content-Encoding" not in answer.headers
        assert not [name for name in answer.headers if name.startswith(("X-RateLimit", "Access-Control"))]
        if status >= 400:
            assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
            assert {"error", "code", "request_id"} <= set(answer.json)
        if status == 401:
            assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_wrong_method_is_told_the_right_ones(api: Api) -> None:
    allowed: dict[str, set[str]] = {}
    for method, path, _ in DESCRIPTION.operations():
        allowed.setdefault(path, set()).update({method, "HEAD"} if method == "GET" else {method})
    for path in allowed:
        real = re.sub(r"\{\w+\}", "x", path)
        methods = set().union(*(allowed[fitting] for fitting in DESCRIPTION.fitting(real)))
        for wrong in {"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE"} - methods:
            answer = await api.call(wrong, real)
            assert (answer.status, answer.json["code"]) == (405, "method_not_allowed"), (wrong, real)
            assert set(answer.headers["Allow"].split(", ")) == methods


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_a_body_has_at_most_1_mib(api: Api, path: str, chunked: bool) -> None:
    for size, refused in ((MIB, False), (MIB + 1, True)):
        body = b'{"a": "' + b"a" * (size - 9) + b'"}'
        assert len(body) == size

        async def pieces(body: bytes = body) -> AsyncIterator[bytes]:
            for start in range(0, len(body), 50_000):
                yield body[start : start + 50_000]

        async with api.session.request(
            BODIES[path],
            path.replace("{id}", "9a4b6c0e-0000-4000-8000-000000000000"),
            data=pieces() if chunked else body,
            headers={"Authorization": f"Bearer {api.admin_token}"},
        ) as response:
            answer = await response.json()
        if refused and "orgs" not in path:  # an org that there is not is said first
            assert (response.status, answer["code"]) == (413, "body_too_large")
        else:
            assert response.status in (400, 404)


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
async def test_broken_http_is_answered_like_anything_else(api: Api, sent: bytes) -> None:
    here = api.position
    head, body = await talk(api, sent)
    assert head.startswith(b"HTTP/1.0 400 ") or head.startswith(b"HTTP/1.1 400 ")
    for wanted in (b"application/json; charset=utf-8", b"nosniff", b"no-store", b"X-Request-Id: "):
        assert wanted in head
    answer = json.loads(body)
    assert answer["code"] == "invalid_request"
    assert answer["error"] in ("malformed HTTP request", "unknown expectation")
    assert f"X-Request-Id: {answer['request_id']}".encode() in head
    line = await api.event("request.completed", request_id=answer["request_id"], after=here)
    assert (line["level"], line["status"]) == ("info", 400)
    assert not api.events("library.message", after=here)
    assert not api.events("request.failed", after=here)


async def talk(api: Api, sent: bytes) -> tuple[bytes, bytes]:
    """The head and the body of what is answered to these bytes."""
    address = urlsplit(api.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(sent)
    async with asyncio.timeout(5):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return head, body


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_bug(api: Api) -> None:
    here = api.position
    address = urlsplit(api.url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        b"POST /registry/heartbeat HTTP/1.1\r\nHost: x\r\nX-Request-Id: half\r\nContent-Length: 50\r\n\r\n{"
    )
    await writer.drain()
    writer.close()
    line = await api.event("request.completed", request_id="half", after=here)
    assert (line["level"], line["status"], line["code"]) == ("info", 400, "invalid_body")
    assert not api.events("request.failed", after=here)


async def test_compressed_bodies_are_not_unpacked(api: Api) -> None:
    answer = await api.call(
        "POST", "/registry/heartbeat", b"\x1f\x8b\x08\x00", headers={"Content-Encoding": "gzip"}
    )
    assert (answer.status, answer.json["code"]) == (400, "invalid_body")


PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


class TestOrigins:
    """CORS: nobody, but for whom CORS_ORIGINS names."""

    async def test_by_default_nobody(self, api: Api) -> None:
        for method, extra in (("OPTIONS", PREFLIGHT), ("GET", {})):
            answer = await api.call(method, "/plugins", headers={"Origin": "https://canvas.test", **extra})
            assert answer.status == (405 if extra else 200)
            assert not [name for name in answer.headers if name.startswith("Access-Control")]

    async def test_those_that_are_named(self, start_api: StartApi) -> None:
        async with start_api(CORS_ORIGINS="https://canvas.test,http://localhost:3000") as api:
            for origin in ("https://canvas.test", "http://localhost:3000"):
                answer = await api.call("OPTIONS", "/plugins", headers={"Origin": origin, **PREFLIGHT})
                assert answer.status == 204
                assert answer.headers["Access-Control-Allow-Origin"] == origin
                assert answer.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
                assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]
                for path, status in (("/plugins", 200), ("/workspaces", 401), ("/nowhere", 404)):
                    answer = await api.call("GET", path, headers={"Origin": origin})
                    assert answer.status == status
                    assert answer.headers["Access-Control-Allow-Origin"] == origin
                    assert answer.headers["Vary"] == "Origin"
                    assert "Access-Control-Allow-Credentials" not in answer.headers
            for origin in ("https://canvas.test.evil", "null", "http://canvas.test", "*"):
                answer = await api.call("OPTIONS", "/plugins", headers={"Origin": origin, **PREFLIGHT})
                assert answer.status == 405
                answer = await api.call("GET", "/plugins", headers={"Origin": origin})
                assert "Access-Control-Allow-Origin" not in answer.headers
                assert answer.headers["Vary"] == "Origin"
            assert "Access-Control-Allow-Origin" not in (await api.call("GET", "/plugins")).headers


async def test_a_bug_is_told_to_the_log_and_not_to_the_client(start_api: StartApi) -> None:
    async with start_api() as api:
        url = api.environment["DATABASE_URL"]
        async with connected(url) as connection:
            agent = await add_agent(connection)
            await connection.execute("DROP TABLE healthsweep.history")
        response = await api.session.get(
            f"/workspaces/{agent.id}/history",
            headers={"Authorization": f"Bearer {agent.token}", "X-Request-Id": "bug"},
        )
        assert response.status == 500
        body = await response.json()
        assert body == {"error": "internal error", "code": "internal_error", "request_id": "bug"}
        failed = await api.event("request.failed", request_id="bug")
        assert (failed["level"], failed["exception"][0]["exc_type"]) == ("error", "UndefinedTableError")
        completed = await api.event("request.completed", request_id="bug")
        assert (completed["level"], completed["status"]) == ("warning", 500)


async def test_the_line_of_a_request(api: Api, agent: Agent) -> None:
    asked = await ask(api, "GET", agent.plugins + "/available?runtime=x", token=agent.token)
    (line,) = asked.lines
    assert line["duration_ms"] > 0
    assert {key: line.get(key) for key in ("level", "method", "route", "status", "workspace_id", "code")} == {
        "level": "info",
        "method": "GET",
        "route": "/workspaces/{id}/plugins/available",
        "status": 200,
        "workspace_id": agent.id,
        "code": None,
    }
    asked = await ask(api, "GET", "/nowhere")
    assert (asked.lines[0]["route"], asked.lines[0]["code"]) == ("unknown", "not_found")
