"""What the database knows of one workspace. Reading it needs no right to write."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from deploy.command.exits import NO_CRASH
from shared.database import Connection
from shared.presence import PRESENCE_STALE_S


@dataclass(frozen=True, slots=True)
class Match:
    """A workspace that the operator may have meant."""

    id: UUID
    name: str | None
    status: str


@dataclass(frozen=True, slots=True)
class Observation:
    """One row of the history. `age_s` is on the database's clock."""

    from_status: str | None
    to_status: str
    reason: str
    exit_code: int | None
    detected_by: str
    cause_id: str | None
    at: datetime
    age_s: float


@dataclass(frozen=True, slots=True)
class Facts:
    """The row, and what our history and the api's presence say about it; ages are on the database's clock.

    `runtime` is None where our role may not read it. `elsewhere`: the platform runs it on another host.
    `silent_s` is for how long its agent could have been heard and was not. `api_seen_s` is when the api last
    said that it listens, None if it never did. `crashes` counts the offlines of the last hour that
    were its program's doing.
    """

    id: UUID
    name: str | None
    status: str
    runtime: str | None
    elsewhere: bool
    short_name_is_unique: bool
    created_at: datetime | None
    last_heartbeat_at: datetime | None
    heartbeat_age_s: float | None
    silent_s: float | None
    last_error_rate: float | None
    last_sample_error: str | None
    api_seen_s: float | None
    asked_at: datetime
    crashes: int
    newest: Observation | None
    before: Observation | None

    @property
    def observation(self) -> Observation | None:
        """The newest transition, if it is what made the status what it is."""
        return self.newest if self.newest and self.newest.to_status == self.status else None

    @property
    def deaf(self) -> bool:
        """Whether nobody listens for heartbeats; where no api ever ran, times alone decide."""
        return self.api_seen_s is not None and self.api_seen_s > PRESENCE_STALE_S


async def find(connection: Connection, words: str) -> list[Match]:
    """Whom `words` mean: the one with this id, else those with this name, else all that begin so.

    A container's name counts as the id in it. Living workspaces come before removed ones.
    """
    rows = await connection.fetch(_FIND, words, words.lower().removeprefix("ws-"))
    best = [row for row in rows if row["rank"] == rows[0]["rank"]]
    return [Match(row["id"], row["name"], row["status"]) for row in best]


async def read_facts(connection: Connection, workspace_id: UUID) -> Facts | None:
    """What is known of this workspace, as of one moment; None if its row is gone."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        readable = await connection.fetchval(_RUNTIME_READABLE)
        runtime = "coalesce(nullif(runtime, ''), 'langgraph')" if readable else "NULL::text"
        row = await connection.fetchrow(_FACTS.format(runtime=runtime), workspace_id, list(NO_CRASH))
        history = await connection.fetch(_HISTORY, workspace_id)
    if row is None:
        return None
    newest, before, *_ = [*(Observation(**observed) for observed in history), None, None]
    return Facts(**row, newest=newest, before=before)


_FIND = """
SELECT id, name, status::text AS status,
    CASE
        WHEN id::text = $2 THEN 0
        WHEN name = $1 THEN 1
        WHEN lower(name) = lower($1) THEN 2
        ELSE 3
    END * 2 + (status::text = 'removed')::integer AS rank
FROM public.workspaces
WHERE starts_with(id::text, $2) OR starts_with(lower(name), lower($1))
ORDER BY rank, name, id
"""

_RUNTIME_READABLE = "SELECT has_column_privilege('public.workspaces', 'runtime', 'SELECT')"

# `instance_id` exists on platform databases only, silence is counted and epochs are subtracted as the sweeper
# does it: sweeper/store.py says why.
_FACTS = """
SELECT
    workspace.id,
    workspace.name,
    workspace.status,
    workspace.runtime,
    workspace.elsewhere,
    NOT EXISTS (
        SELECT FROM public.workspaces AS other
        WHERE other.id <> workspace.id AND left(other.id::text, 12) = left(workspace.id::text, 12)
    ) AS short_name_is_unique,
    workspace.created_at,
    workspace.last_heartbeat_at,
    (extract(epoch FROM now()) - extract(epoch FROM workspace.last_heartbeat_at))::float8 AS heartbeat_age_s,
    (extract(epoch FROM now()) - extract(epoch FROM greatest(
        coalesce(workspace.last_heartbeat_at, workspace.created_at),
        api.heard_since,
        pg_postmaster_start_time()
    )))::float8 AS silent_s,
    workspace.last_error_rate,
    workspace.last_sample_error,
    extract(epoch FROM now() - api.seen_at)::float8 AS api_seen_s,
    now() AS asked_at,
    (
        SELECT count(*) FROM healthsweep.history
        WHERE workspace_id = workspace.id AND to_status = 'offline' AND at > now() - interval '1 hour'
            AND (reason = 'restarting' OR reason = 'exited' AND exit_code <> ALL ($2::integer[]))
    ) AS crashes
FROM (VALUES (NULL)) AS platform_only (instance_id)
CROSS JOIN LATERAL (
    SELECT
        id,
        name,
        status::text AS status,
        {runtime} AS runtime,
        instance_id IS NOT NULL AS elsewhere,
        created_at,
        last_heartbeat_at,
        last_error_rate,
        last_sample_error
    FROM public.workspaces WHERE id = $1
) AS workspace
LEFT JOIN healthsweep.presence AS api ON true
"""

_HISTORY = """
SELECT from_status, to_status, reason, exit_code, detected_by, cause_id, at,
    extract(epoch FROM now() - at)::float8 AS age_s
FROM healthsweep.history WHERE workspace_id = $1 ORDER BY id DESC LIMIT 2
"""
