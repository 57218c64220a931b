"""The tokens of a workspace."""

import structlog
from aiohttp import web

from api.agent_requests import parse_count
from api.errors import InvalidWorkspaceId, TokenNotFound, TooManyTokens, WorkspaceNotFound
from api.middleware import json_response, workspace_of
from api.names import parse_id
from api.store.tokens import TokenStore
from shared.errors import TokenLimitReached, WorkspaceMissing
from shared.tokens import MOST_ACTIVE, PREFIX_LENGTH

log = structlog.get_logger()

_MOST_OFFSET = 2**31 - 1


class TokenHandlers:
    """Answers of the routes below /workspaces/{id}/tokens."""

    def __init__(self, *, store: TokenStore) -> None:
        self._store = store

    async def list_live(self, request: web.Request) -> web.Response:
        """Live tokens, newest first; of each only what may be shown."""
        tokens = await self._store.list(
            workspace_of(request),
            limit=parse_count(
                request.query.get("limit"), name="limit", default=MOST_ACTIVE, least=1, most=MOST_ACTIVE
            ),
            offset=parse_count(request.query.get("offset"), name="offset", default=0, most=_MOST_OFFSET),
        )
        return json_response({"tokens": tokens, "count": len(tokens)})

    async def issue(self, request: web.Request) -> web.Response:
        """One more token, in clear this once."""
        workspace_id = workspace_of(request)
        try:
            issued = await self._store.issue(workspace_id)
        except TokenLimitReached as exc:
            raise TooManyTokens from exc
        except WorkspaceMissing as exc:
            raise WorkspaceNotFound from exc
        log.info("token.issued", workspace_id=str(workspace_id), token_prefix=issued.prefix)
        answer = {
            "auth_token": issued.token,
            "workspace_id": workspace_id,
            "message": "keep this token: it is not shown again",
        }
        return json_response(answer, status=201)

    async def revoke(self, request: web.Request) -> web.Response:
        """A token opens nothing any more."""
        workspace_id = workspace_of(request)
        try:
            token_id = parse_id(request.match_info["token_id"])
        except InvalidWorkspaceId as exc:
            raise TokenNotFound from exc
        prefix = await self._store.revoke(workspace_id, token_id)
        if prefix is None:
            raise TokenNotFound
        log.info("token.revoked", workspace_id=str(workspace_id), token_prefix=prefix[:PREFIX_LENGTH])
        return json_response({"status": "revoked"})
