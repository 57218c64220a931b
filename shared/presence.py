"""The row with which the api says that it listens for heartbeats: what writer and reader agree on."""

from typing import Final

PRESENCE_EVERY_S: Final = 5.0
"""How often it is renewed."""

PRESENCE_STALE_S: Final = 15.0
"""Once it is older than this, nobody listens."""
