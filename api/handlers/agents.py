"""What agents call: register, heartbeat, their card, their state."""

import structlog
from aiohttp import web

from api.access import Gatekeeper
from api.agent_requests import body_workspace_id, parse_card, parse_registration, parse_vitals
from api.errors import InvalidRequest, TooManyTokens, WorkspaceNotFound, WorkspaceRemoved
from api.heartbeats import HeartbeatWriter, say_marked
from api.middleware import json_response, request_id_of, workspace_of
from api.requests import parse_object
from api.store.agents import AgentStore, TokenDemanded
from api.store.heartbeats import Beat
from shared.errors import TokenLimitReached, WorkspaceMissing
from shared.settings import Settings

log = structlog.get_logger()


class AgentHandlers:
    """Answers of the routes below /registry, and of an agent's state."""

    def __init__(
        self, *, gatekeeper: Gatekeeper, store: AgentStore, heartbeats: HeartbeatWriter, settings: Settings
    ) -> None:
        self._gatekeeper = gatekeeper
        self._store = store
        self._heartbeats = heartbeats
        self._settings = settings

    async def register(self, request: web.Request) -> web.Response:
        """An agent is there; its token, once, if it never had one or was just reset."""
        body = parse_object(await request.read())
        workspace_id = body_workspace_id(body, "id")
        credential = self._gatekeeper.credential(request.headers)
        judgement = await self._gatekeeper.agent(credential, workspace_id, opens_reset=True)
        registration = parse_registration(
            body,
            external=await self._store.runtime(workspace_id) in self._settings.external_runtimes,
            allow_private=self._settings.allow_private_agent_urls,
        )
        proven = judgement.verdict == "admitted" and (credential.is_admin or judgement.token_id is not None)
        try:
            registered = await self._store.register(
                workspace_id,
                url=registration.url,
                agent_card=registration.agent_card,
                proven=proven,
                opens_reset=credential.is_admin or not proven,
                request_id=request_id_of(request),
            )
        except TokenDemanded:
            self._gatekeeper.refuse(credential, "revoked")
        except TokenLimitReached as exc:
            raise TooManyTokens from exc
        except WorkspaceMissing as exc:
            raise WorkspaceNotFound from exc
        if registered.transition is not None:
            say_marked(registered.transition, request_id=request_id_of(request))
        answer = {"status": "registered"}
        if registered.issued is not None:
            log.info("token.issued", workspace_id=str(workspace_id), token_prefix=registered.issued.prefix)
            answer["auth_token"] = registered.issued.token
        return json_response(answer)

    async def heartbeat(self, request: web.Request) -> web.Response:
        """An agent lives; answered once that is written."""
        body = parse_object(await request.read())
        workspace_id = body_workspace_id(body, "workspace_id")
        credential = self._gatekeeper.credential(request.headers)
        try:
            vitals = parse_vitals(body)
        except InvalidRequest:
            # What is wrong with a body is said to those who may call.
            await self._gatekeeper.agent(credential, workspace_id, tell_removed=True)
            raise
        receipt = await self._heartbeats.write(
            Beat(credential.asked(workspace_id), vitals, request_id_of(request))
        )
        self._gatekeeper.admit(credential, receipt.judgement, workspace_id, tell_removed=True)
        return json_response({"status": "ok"})

    async def update_card(self, request: web.Request) -> web.Response:
        """An agent's card has changed."""
        body = parse_object(await request.read())
        workspace_id = body_workspace_id(body, "workspace_id")
        await self._gatekeeper.agent(self._gatekeeper.credential(request.headers), workspace_id)
        if not await self._store.update_card(workspace_id, parse_card(body)):
            raise WorkspaceNotFound
        return json_response({"status": "updated"})

    async def state(self, request: web.Request) -> web.Response:
        """The status, for an agent that asks whether to go on. Agents end for good on a 404."""
        workspace_id = workspace_of(request)
        status = await self._store.status(workspace_id)
        if status == "removed":
            raise WorkspaceRemoved(workspace_id)
        return json_response(
            {
                "workspace_id": str(workspace_id),
                "status": status,
                "paused": status == "paused",
                "deleted": False,
            }
        )
