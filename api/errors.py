"""Every answer that is not a success, as an error that carries its own HTTP status and code.

    ApiError
    ├── 400  InvalidRequest ─ InvalidBody, SourceRequired, InvalidSource, UnknownScheme, InvalidPluginName,
    │                         InvalidWorkspaceId, NameMismatch, InvalidAgentUrl, ParentNotFound
    ├── 401  Unauthorized ─ MissingToken, InvalidToken, AdminRequired, InvalidAdminToken
    ├── 403  NotInAllowlist
    ├── 404  NotFound ─ WorkspaceNotFound, WorkspaceRemoved, PluginNotInstalled, OrgNotFound, TokenNotFound,
    │                   NotAtSource
    ├── 405  MethodNotAllowed
    ├── 409  ConfirmationRequired
    ├── 413  BodyTooLarge, PluginTooLarge
    ├── 416  RangeNotSatisfiable
    ├── 422  ExternalRuntime, Unpinned, ContentRefused, IntegrityFailed
    ├── 429  RateLimited, TooManyTokens
    ├── 500  InternalError, CopyFailed ─ NotWritable, LacksShell; RemoveFailed
    ├── 502  FetchFailed
    ├── 503  ContainerNotRunning, EngineUnavailable, PlatformUnavailable
    ├── 504  FetchTimedOut
    └── 507  StorageFull

One middleware turns them into JSON. The message is for people and says what would be right; it never
carries an exception's text, a path of this host, a DSN or a token.
"""

from collections.abc import Mapping
from typing import ClassVar
from uuid import UUID

from shared.errors import HealthsweepError
from shared.tokens import MOST_ACTIVE


class ApiError(HealthsweepError):
    """`status` and `code` are for programs, `message` for people; `keys` go into the body beside them."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    message: str = "internal error"
    headers: Mapping[str, str] = {}

    def __init__(self, message: str | None = None, **keys: object) -> None:
        self.message = message or type(self).message
        self.keys = keys
        super().__init__(self.message)


class InvalidRequest(ApiError):
    status = 400
    code = "invalid_request"
    message = "invalid request"


class InvalidBody(InvalidRequest):
    code = "invalid_body"
    message = "invalid request body"


class SourceRequired(InvalidRequest):
    code = "source_required"
    message = '\'source\' is required (e.g. "local://my-plugin" or "github://owner/repo")'


class InvalidSource(InvalidRequest):
    code = "invalid_source"
    message = "invalid plugin source"


class UnknownScheme(InvalidRequest):
    code = "unknown_scheme"
    message = "failed to resolve plugin source"


class InvalidPluginName(InvalidRequest):
    code = "invalid_plugin_name"
    message = "invalid plugin name"


class InvalidWorkspaceId(InvalidRequest):
    code = "invalid_workspace_id"
    message = "invalid workspace ID"


class NameMismatch(InvalidRequest):
    code = "plugin_name_mismatch"
    message = "the source resolves to a plugin of another name"


class InvalidAgentUrl(InvalidRequest):
    code = "invalid_agent_url"


class ParentNotFound(InvalidRequest):
    code = "parent_not_found"
    message = "parent_id must name an existing workspace"


class Unauthorized(ApiError):
    status = 401
    code = "unauthorized"
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class MissingToken(Unauthorized):
    message = "missing workspace auth token"


class InvalidToken(Unauthorized):
    message = "invalid workspace auth token"


class AdminRequired(Unauthorized):
    message = "admin auth required"


class InvalidAdminToken(Unauthorized):
    message = "invalid admin auth token"


class NotInAllowlist(ApiError):
    status = 403
    code = "plugin_not_in_allowlist"


class NotFound(ApiError):
    status = 404
    code = "not_found"
    message = "not found"


class WorkspaceNotFound(NotFound):
    code = "workspace_not_found"
    message = "workspace not found"


class WorkspaceRemoved(NotFound):
    """What ends an agent's loop."""

    code = "workspace_removed"
    message = "workspace removed"

    def __init__(self, workspace_id: UUID) -> None:
        super().__init__(workspace_id=str(workspace_id), deleted=True, status="removed")


class PluginNotInstalled(NotFound):
    code = "plugin_not_installed"
    message = "plugin is not installed"


class OrgNotFound(NotFound):
    code = "org_not_found"
    message = "org not found"


class TokenNotFound(NotFound):
    code = "token_not_found"
    message = "token not found or already revoked"


class NotAtSource(NotFound):
    code = "plugin_not_at_source"


class MethodNotAllowed(ApiError):
    status = 405
    code = "method_not_allowed"
    message = "method not allowed"


class ConfirmationRequired(ApiError):
    """`children` are those that would be removed with it."""

    status = 409
    code = "confirmation_required"
    message = "this workspace has children: repeat with ?confirm=true to remove them too"

    def __init__(self, children: list[dict[str, object]]) -> None:
        super().__init__()
        self.keys = {
            "status": self.code,
            "message": self.message,
            "children": children,
            "children_count": len(children),
        }


class BodyTooLarge(ApiError):
    status = 413
    code = "body_too_large"
    message = "request body too large"


class PluginTooLarge(ApiError):
    status = 413
    code = "plugin_too_large"
    message = "staged plugin exceeds size limit"


class RangeNotSatisfiable(ApiError):
    """Nothing of the `size_bytes` is in the range that was asked for."""

    status = 416
    code = "range_not_satisfiable"
    message = "the requested range is not in the archive"

    def __init__(self, size_bytes: int) -> None:
        super().__init__(size_bytes=size_bytes)
        self.headers = {"Content-Range": f"bytes */{size_bytes}"}


class ExternalRuntime(ApiError):
    status = 422
    code = "external_runtime"


class Unpinned(ApiError):
    status = 422
    code = "unpinned_source"


class ContentRefused(ApiError):
    """`reason` is the rule that was broken, `path` where in the plugin."""

    status = 422
    code = "plugin_content_refused"

    def __init__(self, reason: str, path: str, **keys: object) -> None:
        super().__init__(f"plugin content refused: {reason}: {path:.200}", **keys)
        self.reason = reason


class IntegrityFailed(ApiError):
    status = 422
    code = "plugin_integrity_failed"
    message = "plugin manifest integrity check failed"


class RateLimited(ApiError):
    status = 429
    code = "rate_limited"
    message = "rate limit exceeded"


class TooManyTokens(ApiError):
    status = 429
    code = "too_many_tokens"
    message = f"maximum {MOST_ACTIVE} active tokens per workspace"


class InternalError(ApiError):
    pass


class CopyFailed(ApiError):
    code = "copy_failed"
    message = "failed to copy plugin to container"


class NotWritable(CopyFailed):
    code = "container_not_writable"


class LacksShell(CopyFailed):
    code = "container_lacks_shell"


class RemoveFailed(ApiError):
    code = "remove_failed"
    message = "failed to remove plugin"


class FetchFailed(ApiError):
    status = 502
    code = "fetch_failed"


class FetchTimedOut(ApiError):
    status = 504
    code = "fetch_timed_out"


class ContainerNotRunning(ApiError):
    """Definite: the workspace's doing."""

    status = 503
    code = "container_not_running"
    message = "workspace container not running"


class EngineUnavailable(ApiError):
    """Docker could not tell: the workspace may be fine."""

    status = 503
    code = "container_engine_unavailable"
    message = "container engine unavailable — retry shortly"
    headers: Mapping[str, str] = {"Retry-After": "5"}


class PlatformUnavailable(ApiError):
    status = 503
    code = "platform_unavailable"
    message = "platform datastore unavailable — retry shortly"
    headers: Mapping[str, str] = {"Retry-After": "5"}


class StorageFull(ApiError):
    status = 507
    code = "storage_full"
    message = "no space left to stage the plugin"
