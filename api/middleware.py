"""What every request goes through: an id, the gates of access and rate, one mapping of errors, one line."""

import functools
import json
import random
import re
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from uuid import UUID

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import Counter, Histogram
from structlog.contextvars import bound_contextvars

from api.access import Caller, Gatekeeper
from api.errors import (
    ApiError,
    BodyTooLarge,
    InternalError,
    InvalidBody,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    PlatformUnavailable,
    RateLimited,
)
from api.limits import Allowance, ClientAddress, RateLimit
from api.routes import Handler, Route, RouteTable
from shared import metrics
from shared.errors import DatabaseUnavailable, SchemaError
from shared.moments import plain

log = structlog.get_logger()

CALLER = web.RequestKey("caller", Caller)
_REQUEST_ID = web.RequestKey("request_id", str)
_ALLOWANCE = web.RequestKey("allowance", Allowance)

_JSON = json.JSONEncoder(ensure_ascii=False, default=plain)
_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_INSTALLS_FAIL = (500, 502, 504, 507)
_ALWAYS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
_EXPOSED = "X-Request-Id, X-Container-State, X-Plugin-Name, X-Plugin-Source, ETag, Retry-After"


def json_response(value: object, *, status: int = HTTPStatus.OK) -> web.Response:
    """`value` as JSON in UTF-8; moments as RFC 3339."""
    return web.Response(
        text=_JSON.encode(value),
        status=status,
        content_type="application/json",
    )


def answers(routes: RouteTable) -> Middleware:
    """The outermost: every request ends in an answer, with an id that its log lines carry."""
    for status in _INSTALLS_FAIL:  # Prometheus would not see the first one, in a series that begins at 1
        _counter("POST", "/workspaces/{id}/plugins", status)

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id = _identify(request)
        route = routes.find(request)
        started = time.perf_counter()
        with bound_contextvars(request_id=request_id):
            code = None
            try:
                response = await handler(request)
            except Exception as exc:
                error = _as_api_error(exc)
                if isinstance(error, InternalError):
                    log.exception("request.failed")
                response = _error_response(error, request_id)
                if isinstance(exc, web.HTTPMethodNotAllowed):
                    response.headers["Allow"] = ", ".join(sorted(exc.allowed_methods))
                code = error.code
            workspace_id = request.match_info.get("id")
            seconds = time.perf_counter() - started
            _account(request, route, response.status, code, seconds=seconds, workspace_id=workspace_id)
        if code is not None and request.writer.output_size:
            raise ConnectionError("an answer has begun: only its end can say that it failed")
        return response

    return answer


def refusal(request: web.BaseRequest, error: ApiError, exc: BaseException | None = None) -> web.Response:
    """The answer to what no middleware sees, as they would give it; the connection ends with it."""
    request_id = _identify(request)
    with bound_contextvars(request_id=request_id):
        if isinstance(error, InternalError):
            log.error("request.failed", exc_info=exc)
        _account(request, None, error.status, error.code, seconds=0.0, workspace_id=None)
    response = _error_response(error, request_id)
    response.headers.update({"X-Request-Id": request_id, **_ALWAYS})
    response.force_close()
    return response


def _identify(request: web.BaseRequest) -> str:
    asked = request.headers.get("X-Request-Id", "")
    # It tells requests apart and is no secret, and randomness that nobody can guess is asked of the kernel.
    new = f"{random.getrandbits(64):016x}"
    request[_REQUEST_ID] = asked if _ACCEPTABLE_ID.fullmatch(asked) else new
    return request[_REQUEST_ID]


def _error_response(error: ApiError, request_id: str) -> web.Response:
    body = {"error": error.message, "code": error.code, "request_id": request_id, **error.keys}
    response = json_response(body, status=error.status)
    response.headers.update(error.headers)
    return response


def _as_api_error(exc: Exception) -> ApiError:  # noqa: PLR0911 - a table
    match exc:
        case ApiError():
            return exc
        case DatabaseUnavailable() | SchemaError():
            return PlatformUnavailable()
        case web.HTTPNotFound():
            return NotFound()
        case web.HTTPMethodNotAllowed():
            return MethodNotAllowed()
        case web.HTTPRequestEntityTooLarge():
            return BodyTooLarge()
        case web.RequestPayloadError() | ConnectionResetError():
            return InvalidBody("the request's body is malformed or not complete")
        case web.HTTPException() if exc.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return InvalidRequest()
        case _:
            return InternalError()


def _account(
    request: web.BaseRequest,
    route: Route | None,
    status: int,
    code: str | None,
    *,
    seconds: float,
    workspace_id: str | None,
) -> None:
    pattern = route.path if route else "unknown"
    _counter(request.method, pattern, status).inc()
    _duration(pattern).observe(seconds)
    if route and route.quiet and status < HTTPStatus.MULTIPLE_CHOICES:
        return
    keys = {
        "method": request.method,
        "route": pattern,
        "status": status,
        "code": code,
        "duration_ms": round(seconds * 1000, 1),
        "workspace_id": workspace_id,
    }
    keys = {key: value for key, value in keys.items() if value is not None}
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request.completed", **keys)
    else:
        log.info("request.completed", **keys)


@functools.cache
def _counter(method: str, pattern: str, status: int) -> Counter:
    return metrics.REQUESTS.labels(method, pattern, str(status))


@functools.cache
def _duration(pattern: str) -> Histogram:
    return metrics.REQUEST_DURATION.labels(pattern)


def gates(
    routes: RouteTable, *, gatekeeper: Gatekeeper, limit: RateLimit, address: ClientAddress
) -> Middleware:
    """Authentication before everything else, then the rate limit: by token, else by address."""

    async def admit(request: web.Request, route: Route) -> Caller | None:
        if route.access == "workspace":
            return await gatekeeper.workspace(
                request.headers, request.match_info["id"], tell_removed=route.tells_removed
            )
        if route.access == "boot" and route.limited:
            return await gatekeeper.holder(
                request.headers
            )  # whom to count; who may call, the handler decides
        return gatekeeper.admin(request.headers) if route.access == "admin" else None

    def count(request: web.Request, caller: Caller | None) -> None:
        if caller is None:
            forwarded_for = ",".join(request.headers.getall("X-Forwarded-For", ()))
            key = f"address {address.of(request.remote, forwarded_for)}"
        else:
            key = f"token {caller.token_id or 'admin'}"
        allowance = limit.take(key)
        if allowance is None:
            return
        request[_ALLOWANCE] = allowance
        if allowance.exceeded:
            log.info("request.limited", limit=allowance.limit)
            raise RateLimited(retry_after=allowance.reset_s)

    @web.middleware
    async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
        route = routes.find(request)
        caller = None
        try:
            if route is not None:
                caller = await admit(request, route)
        finally:
            # Who is refused is counted too, by address: guessing tokens is limited like anything else.
            if route is None or route.limited:
                count(request, caller)
        if caller is not None:
            request[CALLER] = caller
        return await handler(request)

    return gate


def cross_origin(origins: frozenset[str]) -> Middleware:
    """Answers the preflight of the origins that are allowed to call from a browser."""

    @web.middleware
    async def preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not (asks and request.headers.get("Origin") in origins):
            return await handler(request)
        return web.Response(
            status=HTTPStatus.NO_CONTENT,
            headers={
                "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
                "Access-Control-Allow-Headers": "Authorization, Content-Type",
                "Access-Control-Max-Age": "600",
            },
        )

    return preflight


def common_headers(origins: frozenset[str]) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """The headers of every response, streams and files included."""

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        headers["X-Request-Id"] = request.get(_REQUEST_ID, "")
        for name, value in _ALWAYS.items():
            headers.setdefault(name, value)
        if (allowance := request.get(_ALLOWANCE)) is not None:
            headers["X-RateLimit-Limit"] = str(allowance.limit)
            headers["X-RateLimit-Remaining"] = str(allowance.remaining)
            headers["X-RateLimit-Reset"] = str(allowance.reset_s)
            if allowance.exceeded:
                headers["Retry-After"] = str(allowance.reset_s)
        if origins:
            headers.add("Vary", "Origin")
        if (origin := request.headers.get("Origin")) in origins:
            headers["Access-Control-Allow-Origin"] = origin or ""
            headers["Access-Control-Expose-Headers"] = _EXPOSED

    return add


def request_id_of(request: web.Request) -> str:
    """The id that the request's log lines and its answer carry."""
    return request[_REQUEST_ID]


def workspace_of(request: web.Request) -> UUID:
    """The workspace of the path, which the caller was let in for."""
    workspace_id = request[CALLER].workspace_id
    if workspace_id is None:
        raise InvalidRequest
    return workspace_id
