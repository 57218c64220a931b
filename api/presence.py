"""Tells the sweeper that heartbeats can be heard, and notices when the database goes away."""

import asyncio
from typing import Final

import structlog

from api.access import Gatekeeper
from api.store.presence import PresenceStore
from shared import metrics
from shared.errors import DatabaseUnavailable, SchemaOlder
from shared.outage import Outage

log = structlog.get_logger()

EVERY_S: Final = 5.0
_RETRY_S: Final = 1.0


class Presence:
    """Renews the presence row while the process serves."""

    def __init__(self, *, store: PresenceStore, gatekeeper: Gatekeeper) -> None:
        self._store = store
        self._gatekeeper = gatekeeper
        self._outage = Outage()
        self._outdated = Outage()

    async def begin(self) -> None:
        """Return when the database has this code's schema and knows that we listen. Raises SchemaError."""
        while not await self._succeeds(starting=True):
            await asyncio.sleep(_RETRY_S)

    async def keep(self) -> None:
        """Renew until cancelled, quickly again after a failure."""
        while True:
            await asyncio.sleep(EVERY_S if await self._succeeds(starting=False) else _RETRY_S)

    async def _succeeds(self, *, starting: bool) -> bool:
        try:
            await self._store.renew(starting=starting)
            await self._gatekeeper.write_uses()
        except DatabaseUnavailable as exc:
            metrics.DATABASE_UP.set(0)
            if self._outage.failed():
                log.warning("database.unreachable", detail=str(exc), failures=1)
            return False
        except SchemaOlder as exc:
            if self._outdated.failed():
                log.warning("schema.outdated", problem=str(exc))
            return False
        metrics.DATABASE_UP.set(1)
        failures = self._outage.failures
        if (down_s := self._outage.ended()) is not None:
            log.info("database.recovered", down_s=round(down_s, 1), failures=failures)
        return True
