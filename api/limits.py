"""The rate limit: so many requests per fixed minute and caller."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

WINDOW_S = 60


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of this minute for one caller."""

    limit: int
    remaining: int
    reset_s: int
    exceeded: bool


class RateLimit:
    """Counts requests by key in the present minute; 0 means no limit. Memory is bounded by one minute."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._minute = 0
        self._counts: dict[str, int] = {}

    def take(self, key: str) -> Allowance | None:
        """Count one request of `key`; None where there is no limit."""
        if not self._per_minute:
            return None
        now = time.time()
        minute = int(now // WINDOW_S)
        if minute != self._minute:
            self._minute, self._counts = minute, {}
        count = self._counts[key] = self._counts.get(key, 0) + 1
        return Allowance(
            limit=self._per_minute,
            remaining=max(0, self._per_minute - count),
            reset_s=max(1, math.ceil((minute + 1) * WINDOW_S - now)),
            exceeded=count > self._per_minute,
        )


class ClientAddress:
    """Whose request it is: the peer, or whom a trusted proxy names."""

    def __init__(self, trusted_proxies: Iterable[str]) -> None:
        self._trusted = [ip_network(text, strict=False) for text in trusted_proxies]

    def of(self, peer: str | None, forwarded_for: str) -> str:
        """The nearest address that is no trusted proxy, read from the right of X-Forwarded-For."""
        address = peer or "unix"
        hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
        while hops and self._trusts(address):
            address = hops.pop()
        return address

    def _trusts(self, address: str) -> bool:
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._trusted)
