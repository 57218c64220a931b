"""What agents and operators call most, as one line each."""

from typing import Any

from tests.support.api import Answer, Api

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
CARD = {"name": "an agent", "skills": [{"id": "a", "tags": ["ä"]}]}


async def beat(api: Api, workspace_id: str, *, token: str | None = None, **keys: Any) -> Answer:
    return await api.call("POST", "/registry/heartbeat", {"workspace_id": workspace_id, **keys}, token=token)


async def register(api: Api, workspace_id: str, *, token: str | None = None, **keys: Any) -> Answer:
    body = {"id": workspace_id, "agent_card": CARD, **keys}
    return await api.call("POST", "/registry/register", body, token=token)


async def create(api: Api, **body: Any) -> Answer:
    return await api.call("POST", "/workspaces", {"name": "one", **body}, token=api.admin_token)
