"""Which container a plugin request is for, if any: the gates between authentication and work.

The external guard fails open: if the runtime cannot be looked up, the request goes on as for a workspace
with a container. An infrastructure flake must not deny work, and a wrong guess costs an external workspace
no more than a 503, which then says that the runtime could not be looked up. Authentication, which fails
closed, is another query, so that one cannot loosen the other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import structlog

from api.contradictions import Contradictions
from api.errors import ContainerNotRunning, EngineUnavailable, ExternalRuntime, PlatformUnavailable
from api.store.access import AccessStore
from shared.errors import DatabaseUnavailable, EngineError
from shared.running import NotRunning, Running, StateEngine, container_state

log = structlog.get_logger()

Action = Literal["install", "uninstall"]
ContainerState = Literal["running", "not_running", "unknown"]

_EXTERNAL = {
    "install": (
        "plugin install via push is not supported for external runtimes",
        "external workspaces pull plugins via GET /workspaces/:id/plugins/:name/download",
    ),
    "uninstall": (
        "plugin uninstall via docker exec is not supported for external runtimes",
        "external workspaces manage their own plugin directory; remove it locally",
    ),
}
_LOOKUP_FAILED = (
    "the workspace's runtime could not be looked up; if it is external, it has no container here "
    "and pulls plugins via GET /workspaces/:id/plugins/:name/download"
)


@dataclass(frozen=True, slots=True)
class Guarded:
    """What the external guard found. `runtime` is None where it could not be looked up."""

    runtime: str | None

    @property
    def hint(self) -> dict[str, str]:
        """What a later 503 has to say about it."""
        return {"hint": _LOOKUP_FAILED} if self.runtime is None else {}

    @contextmanager
    def hinting(self) -> Iterator[None]:
        """Let the database's own 503 say it too, where the database fails inside."""
        try:
            yield
        except DatabaseUnavailable as exc:
            raise PlatformUnavailable(**self.hint) from exc


class Targets:
    """Finds the container of a workspace through the one shared function."""

    def __init__(
        self,
        *,
        engine: StateEngine,
        store: AccessStore,
        contradictions: Contradictions,
        external_runtimes: frozenset[str],
    ) -> None:
        self._engine = engine
        self._store = store
        self._contradictions = contradictions
        self._external_runtimes = external_runtimes

    async def runtime(self, workspace_id: UUID) -> str | None:
        """The workspace's runtime, None (and a line in the log) where it cannot be looked up."""
        try:
            return await self._store.runtime(workspace_id)
        except DatabaseUnavailable as exc:
            log.warning("runtime.lookup_failed", workspace_id=str(workspace_id), detail=str(exc))
            return None

    def is_external(self, runtime: str | None) -> bool:
        """Whether workspaces of this runtime have no container here."""
        return runtime in self._external_runtimes

    async def refuse_external(self, workspace_id: UUID, action: Action) -> Guarded:
        """Raise ExternalRuntime, with what to do instead, for a workspace without a container by design."""
        runtime = await self.runtime(workspace_id)
        if self.is_external(runtime):
            error, hint = _EXTERNAL[action]
            raise ExternalRuntime(error, hint=hint, runtime=runtime)
        return Guarded(runtime)

    async def container(self, workspace_id: UUID, guarded: Guarded) -> Running:
        """The running container. Raises ContainerNotRunning, EngineUnavailable, DatabaseUnavailable."""
        try:
            answer = await self._ask(workspace_id, answer="503")
        except EngineError as exc:
            raise EngineUnavailable(**guarded.hint) from exc
        if isinstance(answer, NotRunning):
            self._contradictions.refused(workspace_id)
            raise ContainerNotRunning(state=answer.reason, **guarded.hint)
        return answer

    async def container_if_running(self, workspace_id: UUID) -> tuple[Running | None, ContainerState]:
        """For lists, which are soft: the container if it runs, and which of the three outcomes it was."""
        try:
            answer = await self._ask(workspace_id, answer="soft_list")
        except EngineError:
            return None, "unknown"
        return (answer, "running") if isinstance(answer, Running) else (None, "not_running")

    async def _ask(self, workspace_id: UUID, *, answer: Literal["503", "soft_list"]) -> Running | NotRunning:
        """Ask, and say what kept the request from going on: the workspace's doing or Docker's, never both."""
        unique = await self._store.short_name_is_unique(workspace_id)
        try:
            state = await container_state(self._engine, workspace_id, short_name_is_unique=unique)
        except EngineError as unknown:
            log.warning(
                "container.check_transient",
                workspace_id=str(workspace_id),
                reason=unknown.reason,
                status=unknown.status,
                answer=answer,
            )
            raise
        if isinstance(state, NotRunning):
            log.info(
                "container.not_running",
                workspace_id=str(workspace_id),
                container_name=state.container_name,
                state=state.reason,
                exit_code=state.exit_code,
                answer=answer,
            )
        return state
