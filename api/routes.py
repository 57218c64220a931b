"""Every route, in one table: who may call it, what answers, and how it is treated."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from api.access import Access

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """`limited`: counted by the rate limit. `quiet`: a success is no line in the log, only a metric.

    `tells_removed`: the agent of a removed workspace is told so, instead of a 401.
    """

    method: str
    path: str
    access: Access
    handler: Handler
    limited: bool = True
    quiet: bool = False
    tells_removed: bool = False


class RouteTable:
    """Finds the Route behind a request."""

    def __init__(self, routes: list[Route]) -> None:
        self._routes = routes
        self._by_key = {(route.method, route.path): route for route in routes}

    def add_to(self, application: web.Application) -> None:
        """Register all of them; HEAD goes with every GET."""
        for route in self._routes:
            application.router.add_route(route.method, route.path, route.handler)
            if route.method == "GET":
                application.router.add_route("HEAD", route.path, route.handler)

    def find(self, request: web.Request) -> Route | None:
        """The route that aiohttp resolved for `request`, None for an unknown path or method."""
        resource = request.match_info.route.resource
        method = "GET" if request.method == "HEAD" else request.method
        return self._by_key.get((method, resource.canonical)) if resource else None
