"""The statement that writes a batch of heartbeats.

In its order: who may (a Verdict for each beat); of several beats for one workspace the last one; the rows,
locked; what the beat makes of each row's status; the updates, their history, and the notifications.
"""

from api.store.verdicts import JOINS, VERDICT
from shared.transitions import NOTIFY

_TOLD = """
    last_heartbeat_at = now(),
    updated_at = now(),
    last_error_rate = coalesce(decided.error_rate, workspace.last_error_rate),
    last_sample_error = coalesce(decided.sample_error, workspace.last_sample_error),
    active_tasks = coalesce(decided.active_tasks, workspace.active_tasks),
    uptime_seconds = coalesce(decided.uptime_seconds, workspace.uptime_seconds),
    current_task = coalesce(decided.current_task, workspace.current_task)
"""
_TOLD_WITH_SPEND = f"""{_TOLD},
    monthly_spend = coalesce(nullif(decided.monthly_spend, 0), workspace.monthly_spend)
"""

# What a heartbeat makes of a status. Who put a workspace offline heals it: where the newest history row says
# that it was for its container, only a running container does. `created` is a reason for both: a workspace
# that is new came from no status.
_TARGET = """
CASE
    WHEN NOT held.ours OR held.runtime = ANY ($12::text[]) THEN NULL
    WHEN held.seen = 'offline' AND coalesce((
        SELECT history.to_status = 'offline' AND history.from_status IS NOT NULL
            AND history.reason = ANY ($13::text[])
        FROM healthsweep.history WHERE workspace_id = held.id ORDER BY history.id DESC LIMIT 1
    ), false) THEN NULL
    WHEN held.seen IN ('offline', 'awaiting_agent') THEN
        CASE WHEN held.wedged OR held.error_rate >= 0.5 THEN 'degraded' ELSE 'online' END
    WHEN held.seen = 'provisioning' THEN 'online'
    WHEN held.seen = 'online' AND (held.wedged OR held.error_rate >= 0.5) THEN 'degraded'
    WHEN held.seen = 'degraded' AND NOT held.wedged AND held.error_rate < 0.1 THEN 'online'
END
"""

# `instance_id` exists on platform databases only: see sweeper/store.py.
#
# One UPDATE per target status, because a parameter would not fit an enum column.
_WRITE = """
WITH judged AS MATERIALIZED (
    SELECT asked.*, token.id AS token_id, {verdict} AS verdict
    FROM unnest(
        $1::uuid[], $2::bytea[], $3::boolean[], $4::float8[], $5::text[], $6::integer[], $7::integer[],
        $8::text[], $9::boolean[], $10::bigint[], $11::text[]
    ) WITH ORDINALITY AS asked (
        id, digest, is_admin, error_rate, sample_error, active_tasks, uptime_seconds,
        current_task, wedged, monthly_spend, request_id, position
    )
    {joins}
), beat AS MATERIALIZED (
    SELECT DISTINCT ON (id) * FROM judged WHERE verdict = 'admitted' ORDER BY id, position DESC
), held AS MATERIALIZED (
    SELECT workspace.*
    FROM (VALUES (NULL)) AS platform_only (instance_id)
    CROSS JOIN LATERAL (
        SELECT
            beat.*,
            workspaces.status::text AS seen,
            coalesce(nullif(workspaces.runtime, ''), 'langgraph') AS runtime,
            instance_id IS NULL AS ours
        FROM public.workspaces JOIN beat USING (id)
        WHERE workspaces.status::text <> 'removed'
        ORDER BY workspaces.id
        FOR NO KEY UPDATE OF workspaces SKIP LOCKED
    ) AS workspace
), decided AS MATERIALIZED (
    SELECT held.*, {target} AS target FROM held
), heard AS (
    UPDATE public.workspaces AS workspace SET {told}
    FROM decided WHERE workspace.id = decided.id AND decided.target IS NULL
    RETURNING workspace.id
), online AS (
    UPDATE public.workspaces AS workspace SET status = 'online', {told}
    FROM decided WHERE workspace.id = decided.id AND decided.target = 'online'
    RETURNING workspace.id
), degraded AS (
    UPDATE public.workspaces AS workspace SET status = 'degraded', {told}
    FROM decided WHERE workspace.id = decided.id AND decided.target = 'degraded'
    RETURNING workspace.id
), changed AS MATERIALIZED (
    SELECT
        id,
        position,
        seen,
        target,
        CASE
            WHEN target = 'degraded' THEN CASE WHEN wedged THEN 'wedged' ELSE 'error_rate' END
            WHEN seen = 'degraded' THEN 'recovered'
            ELSE 'heartbeat'
        END AS reason,
        request_id
    FROM (SELECT id FROM online UNION ALL SELECT id FROM degraded) AS marked JOIN decided USING (id)
), history AS (
    INSERT INTO healthsweep.history (workspace_id, from_status, to_status, reason, detected_by, cause_id)
    SELECT id, seen, target, reason, 'heartbeat', request_id FROM changed
), announced AS MATERIALIZED (
    SELECT position, seen, target, reason, {notify} FROM changed
)
SELECT
    judged.id,
    judged.verdict,
    judged.token_id,
    judged.verdict = 'admitted' AND written.id IS NOT NULL AS written,
    announced.seen,
    announced.target,
    announced.reason
FROM judged
LEFT JOIN (SELECT id FROM heard UNION ALL SELECT id FROM changed) AS written ON written.id = judged.id
LEFT JOIN announced ON announced.position = judged.position
ORDER BY judged.position
"""
_PARTS = {"verdict": VERDICT, "joins": JOINS, "target": _TARGET, "notify": NOTIFY}
WRITE = _WRITE.format(told=_TOLD, **_PARTS)
"""Takes arrays of one element per beat, the runtimes that are left alone, and the reasons of containers."""

WRITE_WITH_SPEND = _WRITE.format(told=_TOLD_WITH_SPEND, **_PARTS)
"""The same for databases that keep `monthly_spend`."""
