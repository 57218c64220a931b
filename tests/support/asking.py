"""What a client of its own connection gets from a server of the rig, in a word or two."""

import aiohttp

from tests.support.wire import WireServer

INSPECT = "/v1.41/containers/ws-a/json"


async def get(server: WireServer, path: str, *, patience: float = 5.0) -> tuple[int, bytes]:
    """What a client of its own connection gets. Raises aiohttp.ClientError, TimeoutError."""
    timeout = aiohttp.ClientTimeout(total=patience)
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(server.path)), timeout=timeout) as session,
        session.get(f"http://engine{path}", allow_redirects=False) as response,
    ):
        return response.status, await response.read()


async def outcome(server: WireServer) -> str:
    """An inspect's outcome in a word or two."""
    try:
        status, body = await get(server, INSPECT, patience=2.0)
    except aiohttp.ClientPayloadError:
        return "cut off"
    except TimeoutError:
        return "timeout"
    except aiohttp.ClientError as problem:
        cause = problem.__cause__ or problem
        return type(problem if isinstance(problem, aiohttp.ServerDisconnectedError) else cause).__name__
    return f"{status} {body[:20].decode()}"


OUTCOMES = {
    "403": "403 Forbidden by a proxy",
    "404 page not found": '404 {"message": "page no',
    "404 html": "404 <html><h1>404 Not Fo",
    "502": "502 <html><h1>502 Bad Ga",
    "redirect": "302 ",
    "half a body": "cut off",
    "half a json": '200 {"State": {"Status":',
    "nothing": "ServerDisconnectedError",
    "reset": "ConnectionResetError",
    "hang": "timeout",
    "refused": "ConnectionRefusedError",
    "no socket": "FileNotFoundError",
}
