"""Downloads: archives sent from disk, resumable, and recorded once they have been."""

import asyncio
from contextlib import suppress
from http import HTTPStatus
from typing import BinaryIO
from uuid import UUID

import structlog
from aiohttp import web

from api.downloads import Archive, ArchiveCache
from api.errors import NameMismatch, NotInAllowlist, RangeNotSatisfiable
from api.middleware import workspace_of
from api.names import parse_plugin_name
from api.sources import Resolved, Sources
from api.store.plugins import PluginStore
from shared.errors import DatabaseUnavailable

log = structlog.get_logger()


class DownloadHandlers:
    """Sends plugins to agents that pull them."""

    def __init__(self, *, sources: Sources, store: PluginStore, cache: ArchiveCache) -> None:
        self._sources = sources
        self._store = store
        self._cache = cache

    async def download(self, request: web.Request) -> web.StreamResponse:
        """The plugin as a .tar.gz, whole or a range of it; 304 to whoever has it."""
        workspace_id = workspace_of(request)
        name = parse_plugin_name(request.match_info["name"])
        resolved = self._sources.resolve(request.query.get("source", "").strip() or name)
        if resolved.name != name:
            raise NameMismatch(resolved_name=resolved.name, requested_name=name)
        self._sources.require_pinned(resolved)
        if not await self._store.is_allowed(workspace_id, name):
            raise NotInAllowlist(f'plugin "{name}" is not in the org allowlist')
        archive, file = await self._cache.opened(resolved)
        with file:
            response, sent = await _send(request, archive, file, resolved)
        if sent and request.method == "GET":
            await self._record(workspace_id, resolved, archive)
        return response

    async def _record(self, workspace_id: UUID, resolved: Resolved, archive: Archive) -> None:
        """Note the pull of an external workspace; it has the plugin, whether or not that can be noted."""
        keys = {"workspace_id": str(workspace_id), "plugin": resolved.name}
        try:
            pulled = await self._store.record_pull(
                workspace_id,
                name=resolved.name,
                source=resolved.source,
                digest=archive.plugin_digest,
                size_bytes=archive.size_bytes,
            )
        except DatabaseUnavailable:
            log.warning("plugin.record_failed", step="pull", code="platform_unavailable", **keys)
            return
        if pulled:
            log.info(
                "plugin.pulled",
                source=resolved.source,
                digest=archive.plugin_digest,
                size_bytes=archive.size_bytes,
                **keys,
            )


async def _send(
    request: web.Request, archive: Archive, file: BinaryIO, resolved: Resolved
) -> tuple[web.StreamResponse, bool]:
    """Answer with the file, by sendfile; the response, and whether bytes were sent to the last one."""
    headers = {
        "ETag": f'"{archive.etag}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",  # keep it, but ask whether it is still the same
        "Content-Type": "application/gzip",
        "Content-Disposition": f'attachment; filename="{resolved.name}.tar.gz"',
        "X-Plugin-Name": resolved.name,
        "X-Plugin-Source": resolved.source,
    }
    if any(tag.value in ("*", archive.etag) for tag in request.if_none_match or ()):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers), False
    size = archive.size_bytes
    start, end, status = 0, size, HTTPStatus.OK
    # A range of another version would be spliced into the client's copy: it gets the whole of this one.
    unchanged = request.headers.get("If-Range", headers["ETag"]) == headers["ETag"]
    if request.method == "GET" and "Range" in request.headers and unchanged:
        with suppress(ValueError):  # what is no single range is served whole, as RFC 9110 allows
            start, end, _ = request.http_range.indices(size)
            status = HTTPStatus.PARTIAL_CONTENT
    if start >= end:
        raise RangeNotSatisfiable(size)
    if status == HTTPStatus.PARTIAL_CONTENT:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = end - start
    try:
        await response.prepare(request)
        if request.method == "HEAD":
            return response, False
        if await _send_file(request, file, start, end - start):
            await response.write_eof()
            return response, True
    except (ConnectionError, TimeoutError):
        pass  # the client has gone, or its network: it may resume
    if request.transport is not None:
        request.transport.abort()  # what was promised does not come: only the connection's end says so
    return response, False


async def _send_file(request: web.Request, file: BinaryIO, offset: int, count: int) -> bool:
    """Whether all of it went into the connection. Raises ConnectionError."""
    if request.transport is None or request.transport.is_closing():
        return False
    return count == await asyncio.get_running_loop().sendfile(request.transport, file, offset, count)
