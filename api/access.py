"""Who may call. Strict: a workspace without a token is closed, and what cannot be checked is not let in."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn
from uuid import UUID

import structlog

from api.errors import (
    AdminRequired,
    InvalidAdminToken,
    InvalidToken,
    InvalidWorkspaceId,
    MissingToken,
    Unauthorized,
    WorkspaceNotFound,
    WorkspaceRemoved,
)
from api.store.access import AccessStore, KnownToken
from shared.errors import WorkspaceIdError
from shared.ids import parse_workspace_id

log = structlog.get_logger()

Access = Literal["open", "workspace", "admin", "boot"]
"""Of a route: nobody asked, a token of that workspace or the admin's, the admin's, or the handler decides
with the id that the body names (register and heartbeat)."""

PREFIX_LENGTH = 8
Why = Literal["missing", "malformed", "mismatch", "revoked", "removed"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who was let in: the operator, or the agent of one workspace."""

    is_admin: bool
    workspace_id: UUID | None = None
    token_id: UUID | None = None


def token_digest(token: str) -> bytes:
    """What is stored of a token. Comparing digests in an index tells an attacker nothing about the token."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """The token of the Authorization header, scheme in any case, trimmed; None if there is none."""
    scheme, _, token = headers.get("Authorization", "").strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


class Gatekeeper:
    """Checks tokens. Its methods raise ApiErrors of 401 and 404, and DatabaseUnavailable."""

    def __init__(self, store: AccessStore, *, admin_token: str | None) -> None:
        self._store = store
        self._admin_token = admin_token
        self._used: set[UUID] = set()

    def is_admin(self, token: str | None) -> bool:
        """Whether this is ADMIN_TOKEN; compared in constant time. Without one nobody is."""
        if not token or not self._admin_token:
            return False
        return hmac.compare_digest(
            token.encode(errors="surrogateescape"), self._admin_token.encode(errors="surrogateescape")
        )

    def admin(self, headers: Mapping[str, str]) -> Caller:
        """Let the operator in, and nobody else."""
        token = bearer_token(headers)
        if token is None:
            _reject(AdminRequired(), "missing", None)
        if not self.is_admin(token):
            _reject(InvalidAdminToken(), "mismatch", token)
        return Caller(is_admin=True)

    async def workspace(self, headers: Mapping[str, str], id_text: str, *, tell_removed: bool) -> Caller:
        """Let the workspace's own agent in, or the operator.

        A foreign or unknown id answers as a bad token does. `tell_removed`: an agent of a removed workspace
        gets WorkspaceRemoved, which ends its loop, instead of a 401.
        """
        token = bearer_token(headers)
        if token is None:
            _reject(MissingToken(), "malformed" if "Authorization" in headers else "missing", None)
        if self.is_admin(token):
            workspace_id = _admins_workspace_id(id_text)
            if not await self._store.exists(workspace_id):
                raise WorkspaceNotFound
            return Caller(is_admin=True, workspace_id=workspace_id)
        known = await self._store.token(token_digest(token))
        if known is None or str(known.workspace_id) != id_text.lower():
            _reject(InvalidToken(), "mismatch", token)
        return self._admit(known, token, tell_removed=tell_removed)

    async def agent(self, headers: Mapping[str, str], workspace_id: UUID, *, demanded: bool) -> Caller | None:
        """Let an agent in by the id in its body. Without a token it passes only where none is `demanded`."""
        token = bearer_token(headers)
        if token is None:
            if not demanded:
                return None
            _reject(MissingToken(), "malformed" if "Authorization" in headers else "missing", None)
        if self.is_admin(token):
            return Caller(is_admin=True, workspace_id=workspace_id)
        known = await self._store.token(token_digest(token))
        if known is None or known.workspace_id != workspace_id:
            _reject(InvalidToken(), "mismatch", token)
        return self._admit(known, token, tell_removed=True)

    async def write_uses(self) -> None:
        """Write when the tokens seen since the last call were used; now and then, not at each request."""
        used, self._used = self._used, set()
        if used:
            await self._store.touch(used)

    def _admit(self, known: KnownToken, token: str, *, tell_removed: bool) -> Caller:
        if known.workspace_removed:
            if tell_removed:
                raise WorkspaceRemoved(workspace_id=str(known.workspace_id), deleted=True, status="removed")
            _reject(InvalidToken(), "removed", token)
        if known.revoked:
            _reject(InvalidToken(), "revoked", token)
        self._used.add(known.token_id)
        return Caller(is_admin=False, workspace_id=known.workspace_id, token_id=known.token_id)


def _admins_workspace_id(text: str) -> UUID:
    try:
        return parse_workspace_id(text)
    except WorkspaceIdError as exc:
        raise InvalidWorkspaceId from exc


def _reject(error: Unauthorized, why: Why, token: str | None) -> NoReturn:
    prefix = {"token_prefix": token[:PREFIX_LENGTH]} if token else {}
    log.warning("auth.rejected", why=why, **prefix)
    raise error
