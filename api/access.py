"""Who may call. Strict: a workspace without a token is closed, and what cannot be checked is not let in."""

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
    MissingToken,
    Unauthorized,
    WorkspaceNotFound,
    WorkspaceRemoved,
)
from api.names import parse_id
from api.store.access import AccessStore, KnownToken
from api.store.verdicts import Asked, Judgement
from shared.tokens import PREFIX_LENGTH, token_digest

log = structlog.get_logger()

Access = Literal["open", "workspace", "admin", "boot"]
"""Of a route: nobody asked, a token of that workspace or the admin's, the admin's, or the handler decides
with the id that the body names (register and heartbeat)."""

Why = Literal["missing", "malformed", "mismatch", "revoked", "removed"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who was let in: the operator, or the agent of one workspace."""

    is_admin: bool
    workspace_id: UUID | None = None
    token_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request showed to be let in; without a token, `why_none` says why."""

    token: str | None
    is_admin: bool
    why_none: Why

    def asked(self, workspace_id: UUID) -> Asked:
        """The question whether this opens `workspace_id` to its agent."""
        digest = token_digest(self.token) if self.token and not self.is_admin else None
        return Asked(workspace_id=workspace_id, digest=digest, is_admin=self.is_admin)


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
            _reject(AdminRequired(), _why_none(headers), None)
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
            _reject(MissingToken(), _why_none(headers), None)
        if self.is_admin(token):
            workspace_id = parse_id(id_text)
            if not await self._store.exists(workspace_id):
                raise WorkspaceNotFound
            return Caller(is_admin=True, workspace_id=workspace_id)
        known = await self._store.token(token_digest(token))
        if known is None or str(known.workspace_id) != id_text.lower():
            _reject(InvalidToken(), "mismatch", token)
        return self._admit(known, token, tell_removed=tell_removed)

    async def holder(self, headers: Mapping[str, str]) -> Caller | None:
        """Whose live token this is, whatever it opens; None for everybody else."""
        token = bearer_token(headers)
        if token is None or self.is_admin(token):
            return Caller(is_admin=True) if token else None
        known = await self._store.token(token_digest(token))
        if known is None or known.revoked or known.workspace_removed:
            return None
        return Caller(is_admin=False, workspace_id=known.workspace_id, token_id=known.token_id)

    def credential(self, headers: Mapping[str, str]) -> Credential:
        """What these headers show; nothing is decided yet."""
        token = bearer_token(headers)
        return Credential(token, is_admin=self.is_admin(token), why_none=_why_none(headers))

    async def agent(
        self,
        credential: Credential,
        workspace_id: UUID,
        *,
        tell_removed: bool = False,
        opens_reset: bool = False,
    ) -> Judgement:
        """Let an agent in by the id in its body: with a token of its own, or without if it never had one.

        `opens_reset`: an agent whose tokens were reset passes too, and must use the reset up.
        """
        judgement = await self._store.judge(credential.asked(workspace_id))
        if not (opens_reset and judgement.reset_open and judgement.verdict in ("missing", "revoked")):
            self.admit(credential, judgement, workspace_id, tell_removed=tell_removed)
        return judgement

    def admit(
        self, credential: Credential, judgement: Judgement, workspace_id: UUID, *, tell_removed: bool
    ) -> None:
        """Return if the judgement lets the agent in. Raises WorkspaceNotFound, WorkspaceRemoved, a 401."""
        match judgement.verdict:
            case "admitted":
                if judgement.token_id is not None:
                    self._used.add(judgement.token_id)
            case "unknown":
                raise WorkspaceNotFound
            case "removed" if tell_removed:
                raise WorkspaceRemoved(workspace_id)
            case "missing":
                self.refuse(credential)
            case "removed" | "revoked" | "mismatch" as why:
                self.refuse(credential, why)

    def refuse(self, credential: Credential, why: Why = "mismatch") -> NoReturn:
        """Say 401 to what was shown; `why` is for the log, where a token was shown at all."""
        if credential.token is None:
            _reject(MissingToken(), credential.why_none, None)
        _reject(InvalidToken(), why, credential.token)

    async def write_uses(self) -> None:
        """Write when the tokens seen since the last call were used; now and then, not at each request."""
        used, self._used = self._used, set()
        if used:
            await self._store.touch(used)

    def _admit(self, known: KnownToken, token: str, *, tell_removed: bool) -> Caller:
        if known.workspace_removed:
            if tell_removed:
                raise WorkspaceRemoved(known.workspace_id)
            _reject(InvalidToken(), "removed", token)
        if known.revoked:
            _reject(InvalidToken(), "revoked", token)
        self._used.add(known.token_id)
        return Caller(is_admin=False, workspace_id=known.workspace_id, token_id=known.token_id)


def _why_none(headers: Mapping[str, str]) -> Why:
    return "malformed" if "Authorization" in headers else "missing"


def _reject(error: Unauthorized, why: Why, token: str | None) -> NoReturn:
    prefix = {"token_prefix": token[:PREFIX_LENGTH]} if token else {}
    log.warning("auth.rejected", why=why, **prefix)
    raise error
