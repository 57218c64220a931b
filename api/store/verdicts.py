"""Whether an agent may act for the workspace that its body names: one rule, for one agent or for a batch.

A token is demanded once the workspace was ever issued one, and a token that is shown must be its own.
"""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

Verdict = Literal["admitted", "unknown", "removed", "revoked", "mismatch", "missing"]
"""`unknown`: nobody created it, or it is removed and the operator asks. `removed`: its own agent asks."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for which workspace: the sha256 of the token that was shown, if one was, or the operator."""

    workspace_id: UUID
    digest: bytes | None
    is_admin: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the database says to an Asked. `reset_open`: one register may pass without a token."""

    verdict: Verdict
    token_id: UUID | None
    reset_open: bool = False


JOINS = """
LEFT JOIN public.workspaces AS workspace ON workspace.id = asked.id
LEFT JOIN public.workspace_auth_tokens AS token
    ON token.workspace_id = asked.id AND token.token_hash = asked.digest
"""

VERDICT = """
CASE
    WHEN workspace.id IS NULL THEN 'unknown'
    WHEN asked.is_admin THEN CASE workspace.status::text WHEN 'removed' THEN 'unknown' ELSE 'admitted' END
    WHEN token.id IS NOT NULL THEN
        CASE
            WHEN workspace.status::text = 'removed' THEN 'removed'
            WHEN token.revoked_at IS NOT NULL THEN 'revoked'
            ELSE 'admitted'
        END
    WHEN asked.digest IS NOT NULL THEN 'mismatch'
    WHEN EXISTS (
        SELECT FROM public.workspace_auth_tokens AS issued WHERE issued.workspace_id = workspace.id
    ) THEN 'missing'
    WHEN workspace.status::text = 'removed' THEN 'removed'
    ELSE 'admitted'
END
"""
"""SQL of the Verdict; `asked` is a row with id, digest and is_admin, followed by JOINS."""
