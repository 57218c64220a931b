"""Which plugins an org allows."""

from uuid import UUID

from aiohttp import web

from api.errors import InvalidRequest, OrgNotFound
from api.middleware import json_response
from api.requests import parse_allowlist
from api.store.plugins import PluginStore
from shared.errors import WorkspaceIdError
from shared.ids import parse_workspace_id


class AllowlistHandlers:
    """Reads and replaces allowlists; an empty one allows everything."""

    def __init__(self, *, store: PluginStore) -> None:
        self._store = store

    async def read(self, request: web.Request) -> web.Response:
        """The org's allowlist, by name."""
        org_id = await self._org(request)
        entries = await self._store.allowlist(org_id)
        plugins = [
            {
                "plugin_name": entry.plugin_name,
                "enabled_by": entry.enabled_by,
                "enabled_at": entry.enabled_at,
            }
            for entry in entries
        ]
        return json_response({"org_id": str(org_id), "plugins": plugins, "allow_all": not plugins})

    async def replace(self, request: web.Request) -> web.Response:
        """Allow exactly the named plugins."""
        org_id = await self._org(request)
        wanted = parse_allowlist(await request.read())
        await self._store.replace_allowlist(org_id, wanted.plugins, enabled_by=wanted.enabled_by)
        return json_response(
            {"org_id": str(org_id), "plugins": wanted.plugins, "allow_all": not wanted.plugins}
        )

    async def _org(self, request: web.Request) -> UUID:
        """The org of the path: the root workspace of its kind. Raises InvalidRequest, OrgNotFound."""
        try:
            org_id = parse_workspace_id(request.match_info["id"])
        except WorkspaceIdError as exc:
            raise InvalidRequest("invalid org ID") from exc
        if not await self._store.is_org(org_id):
            raise OrgNotFound
        return org_id
