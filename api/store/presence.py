"""The row that says that heartbeats can be heard."""

from shared.database import Database
from shared.presence import PRESENCE_STALE_S


class PresenceStore:
    """Writes the presence row; raises DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def renew(self, *, starting: bool) -> None:
        """Say that this process listens now. After a start or a gap the time of hearing begins anew."""
        async with self._database.connection() as connection:
            await connection.execute(_RENEW, starting, PRESENCE_STALE_S)

    async def writable(self) -> bool:
        """Whether the database answers and takes writes."""
        async with self._database.connection() as connection:
            return not await connection.fetchval("SELECT current_setting('transaction_read_only')::boolean")


_RENEW = """
INSERT INTO healthsweep.presence AS presence (process, started_at, seen_at, heard_since)
VALUES ('api', now(), now(), now())
ON CONFLICT (process) DO UPDATE SET
    started_at = CASE WHEN $1::boolean THEN now() ELSE presence.started_at END,
    seen_at = now(),
    heard_since = CASE
        WHEN $1 OR presence.seen_at < now() - make_interval(secs => $2) THEN now()
        ELSE presence.heard_since
    END
"""
