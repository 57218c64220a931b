"""What can go wrong, as types.

    HealthsweepError
    ├── SettingsError          a variable of the environment cannot be used: exit status 78
    ├── WorkspaceIdError       a text that is no workspace id
    ├── EngineError            Docker could not tell: the *unknown* outcome, with its reason
    ├── ContainerMissing       Docker answered, and the answer is definite: there is no such container
    ├── DatabaseUnavailable    PostgreSQL cannot be asked, or cannot be written to, at the moment
    ├── WorkspaceMissing       there is no such workspace, or it was removed
    ├── TokenLimitReached      a workspace has as many live tokens as it may have
    └── SchemaError            the database's schema is not the one that this code needs
        ├── SchemaOlder        `healthsweep migrate` has not run yet: wait
        ├── SchemaNewer        a newer version of the code migrated it: exit status 78
        └── MigrationRefused   the migration cannot run, and a person must do something first

Errors do not log themselves: whoever handles one says so, once.
"""

from typing import Literal

UnknownReason = Literal["unreachable", "timeout", "refused", "malformed"]


class HealthsweepError(Exception):
    """Base of every error that this project raises on purpose."""


class SettingsError(HealthsweepError):
    """`variable` cannot be used; the text is one line that starts with its name."""

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable} {problem}")
        self.variable = variable
        self.problem = problem


class WorkspaceIdError(HealthsweepError):
    """The text is not a UUID in its 36-character form."""


class EngineError(HealthsweepError):
    """Docker could not tell, and nothing may be concluded from that.

    `reason` is the operator's word for why, `status` the HTTP status where there was one.
    """

    def __init__(self, reason: UnknownReason, detail: str, *, status: int | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: UnknownReason = reason
        self.detail = detail
        self.status = status


class ContainerMissing(HealthsweepError):
    """Docker says that there is no such container."""


class DatabaseUnavailable(HealthsweepError):
    """PostgreSQL cannot be asked or written to now; the text never carries the DSN."""


class WorkspaceMissing(HealthsweepError):
    """There is no such workspace, or it was removed."""


class TokenLimitReached(HealthsweepError):
    """The workspace has as many live tokens as it may have."""


class SchemaError(HealthsweepError):
    """The schema `healthsweep` is not what this code needs."""


class SchemaOlder(SchemaError):
    """Migrations of this code have not been applied yet."""


class SchemaNewer(SchemaError):
    """The database has migrations that this code does not know."""


class MigrationRefused(SchemaError):
    """The migration cannot run; the text says what to do."""
