"""Workspaces: listed, shown, created, removed, and what became of them."""

from typing import Any

import structlog
from aiohttp import web

from api.agent_requests import parse_count, parse_workspace
from api.errors import ConfirmationRequired, ParentNotFound, WorkspaceNotFound
from api.middleware import json_response, request_id_of, workspace_of
from api.names import parse_id
from api.requests import parse_flag, parse_object
from api.store.workspaces import WorkspaceStore
from shared.errors import WorkspaceMissing
from shared.settings import Settings
from shared.workspaces import connection_block

log = structlog.get_logger()

_TRANSITIONS = 50
_MOST_TRANSITIONS = 1000


class WorkspaceHandlers:
    """Answers of the routes below /workspaces, those of plugins and tokens aside."""

    def __init__(self, *, store: WorkspaceStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    async def list_all(self, _request: web.Request) -> web.Response:
        """Every workspace that is not removed."""
        return json_response(await self._store.list_all())

    async def show(self, request: web.Request) -> web.Response:
        """One workspace."""
        row = await self._store.get(workspace_of(request))
        if row is None:
            raise WorkspaceNotFound
        return json_response(row)

    async def create(self, request: web.Request) -> web.Response:
        """A row; the container or the agent is somebody else's to make."""
        wanted = parse_workspace(
            parse_object(await request.read()),
            external_runtimes=self._settings.external_runtimes,
            allow_private=self._settings.allow_private_agent_urls,
        )
        external = wanted.runtime in self._settings.external_runtimes
        try:
            workspace_id, issued = await self._store.create(
                wanted, with_token=external and wanted.url is None, request_id=request_id_of(request)
            )
        except WorkspaceMissing as exc:
            raise ParentNotFound from exc
        log.info("workspace.created", workspace_id=str(workspace_id), runtime=wanted.runtime)
        answer: dict[str, Any] = {"id": workspace_id, "status": wanted.status}
        if external:
            answer["external"] = True
        if issued is not None:
            log.info("token.issued", workspace_id=str(workspace_id), token_prefix=issued.prefix)
            answer["connection"] = connection_block(self._settings, workspace_id, issued.token)
        return json_response(answer, status=201)

    async def remove(self, request: web.Request) -> web.Response:
        """Remove it; its descendants go too, if that is confirmed."""
        workspace_id = parse_id(request.match_info["id"])
        confirmed = parse_flag(request.query.get("confirm"), name="confirm", default=False)
        if await self._store.get(workspace_id) is None:
            raise WorkspaceNotFound
        if not confirmed and (children := await self._store.children(workspace_id)):
            raise ConfirmationRequired(children)
        try:
            cascade_deleted = await self._store.remove(workspace_id, request_id=request_id_of(request))
        except WorkspaceMissing as exc:
            raise WorkspaceNotFound from exc
        log.info("workspace.removed", workspace_id=str(workspace_id), cascade_deleted=cascade_deleted)
        return json_response({"status": "removed", "cascade_deleted": cascade_deleted})

    async def history(self, request: web.Request) -> web.Response:
        """What was written of the status, newest first."""
        limit = parse_count(
            request.query.get("limit"), name="limit", default=_TRANSITIONS, least=1, most=_MOST_TRANSITIONS
        )
        return json_response({"transitions": await self._store.history(workspace_of(request), limit=limit)})
