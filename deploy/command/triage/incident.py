"""What happened once, to whom, and whose fault it was."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from deploy.command.triage.times import clock, day
from deploy.handbook import Entry


class Fault(StrEnum):
    """Who has to look, in the order in which a report tells it."""

    HEALTHSWEEP = "healthsweep"
    CONFIGURATION = "configuration"
    DOCKER = "docker"
    DATABASE = "database"
    HOST = "host"
    WORKSPACE = "workspace"
    AGENT = "agent"
    CALLER = "caller"
    OPERATOR = "operator"

    @property
    def whose(self) -> str:
        """In words, as an answer to *whose fault was it*."""
        return _WHOSE[self]


_WHOSE = {
    Fault.HEALTHSWEEP: "healthsweep's own",
    Fault.CONFIGURATION: "the configuration's",
    Fault.DOCKER: "Docker's",
    Fault.DATABASE: "PostgreSQL's",
    Fault.HOST: "this host's",
    Fault.WORKSPACE: "the workspace's",
    Fault.AGENT: "the agent's",
    Fault.CALLER: "a caller's",
    Fault.OPERATOR: "an operator's doing",
}


class Kind(StrEnum):
    """What happened; these words are promised to programs."""

    ENGINE_AWAY = "engine_away"
    ENGINE_UNANSWERED = "engine_unanswered"
    CONTAINER_UNANSWERED = "container_unanswered"
    SWEEP_ABORTED = "sweep_aborted"
    DATABASE_AWAY = "database_away"
    DATABASE_REFUSED = "database_refused"
    RUNTIME_NOT_LOOKED_UP = "runtime_not_looked_up"
    SWEEP_HELD = "sweep_held"
    SETTINGS_INVALID = "settings_invalid"
    SCHEMA_REFUSED = "schema_refused"
    SCHEMA_OUTDATED = "schema_outdated"
    REGISTRY_UNREADABLE = "registry_unreadable"
    WORKSPACE_UNJUDGED = "workspace_unjudged"
    SERVICE_CRASHED = "service_crashed"
    SERVICE_KILLED = "service_killed"
    SERVICE_RESTARTED = "service_restarted"
    SERVICE_STOPPED = "service_stopped"
    BUG = "bug"
    SWEEP_OVERRAN = "sweep_overran"
    SWEEPER_SILENT = "sweeper_silent"
    CRASH_LOOP = "crash_loop"
    FLAPPING = "flapping"
    CONTAINER_DOWN = "container_down"
    AGENT_SILENT = "agent_silent"
    DEGRADED = "degraded"
    EXTERNAL_REFUSED = "external_refused"
    AUTH_REJECTED = "auth_rejected"
    RATE_LIMITED = "rate_limited"
    INSTALL_FAILED = "install_failed"
    OTHER_WRITER = "other_writer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Moments are seconds; `ended` is None while it goes on. `requests` could not be served because of it.

    `entries` of the handbook say what to do. `quiet_s`: one that has no end of its own counts as over after
    so long without another sign of it.
    """

    kind: Kind
    fault: Fault
    entries: tuple[Entry, ...]
    began: float
    ended: float | None
    summary: str
    workspaces: tuple[str, ...] = ()
    requests: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    quiet_s: float = 0.0

    def span(self, *, dated: bool = False) -> str:
        """From when to when: `10:02:11-10:05:02`, `10:02:11-open` while it goes on."""
        began = f"{day(self.began)} {clock(self.began)}" if dated else clock(self.began)
        if self.ended is None:
            return f"{began}-open"
        return began if self.ended - self.began < 1 else f"{began}-{clock(self.ended)}"

    @property
    def lasted(self) -> float | None:
        """Seconds; None while it goes on."""
        return None if self.ended is None else self.ended - self.began


def many(number: int, noun: str) -> str:
    """`1 request`, `2 requests`, `1 push`, `2 pushes`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}{'es' if noun.endswith('sh') else 's'}"


def whom(workspaces: tuple[str, ...]) -> str:
    """One workspace by its id, several by their number."""
    return f"workspace {workspaces[0]}" if len(workspaces) == 1 else many(len(workspaces), "workspace")
