"""Tells the sweeper that heartbeats can be heard, and notices when the database goes away."""

import structlog

from api.access import Gatekeeper
from api.store.presence import PresenceStore
from shared import systemd
from shared.errors import DatabaseUnavailable, SchemaOlder
from shared.outage import DatabaseOutage, Outage
from shared.presence import PRESENCE_EVERY_S

log = structlog.get_logger()

_RETRY_S = 1.0


class Presence:
    """Renews the presence row while the process serves."""

    def __init__(self, *, store: PresenceStore, gatekeeper: Gatekeeper) -> None:
        self._store = store
        self._gatekeeper = gatekeeper
        self._outage = DatabaseOutage()
        self._outdated = Outage()

    async def begin(self) -> None:
        """Return when the database has this code's schema and knows that we listen. Raises SchemaError."""
        while not await self._succeeds(starting=True):
            await systemd.idle(_RETRY_S)

    async def keep(self) -> None:
        """Renew until cancelled, quickly again after a failure."""
        while True:
            await systemd.idle(PRESENCE_EVERY_S if await self._succeeds(starting=False) else _RETRY_S)

    async def _succeeds(self, *, starting: bool) -> bool:
        try:
            await self._store.renew(starting=starting)
            systemd.alive()
            await self._gatekeeper.write_uses()
        except DatabaseUnavailable as exc:
            self._outage.failed(exc)
            systemd.status("waiting for the database: requests get 503")
            return False
        except SchemaOlder as exc:
            if self._outdated.failed():
                log.warning("schema.outdated", problem=str(exc))
            systemd.status("waiting for `healthsweep migrate`: requests get 503")
            return False
        self._outage.ended()
        systemd.status("serving")
        return True
