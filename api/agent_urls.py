"""Which urls an agent may report: where others will send requests, on the word of whoever registers.

An address that only this host or its network can reach is refused, in every way of writing it that a
resolver understands. Names are admitted as they are: what one resolves to is known when it is used.
"""

import re
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

from api.errors import InvalidAgentUrl

NO_INBOUND = "remote://no-inbound"
"""What agents report that nobody can reach: they poll."""

_LONGEST = 2048
_UNFIT = re.compile(r"[^\x21-\x7e]|\\")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_ENDS_IN_A_NUMBER = re.compile(r"(.*\.)?(0[xX][0-9A-Fa-f]*|[0-9]+)")

_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_CARRIER = IPv4Network("100.64.0.0/10")
_PROTOCOLS = IPv4Network("192.0.0.0/24")  # Python 3.11 takes parts of it, and site-local IPv6, for global
_UNICAST = IPv6Network("2000::/3")
_METADATA = frozenset({IPv4Address("169.254.169.254"), IPv4Address("168.63.129.16")})  # the latter is Azure's
_NAT64 = int(IPv6Address("64:ff9b::"))


def check_agent_url(url: str, *, allow_private: bool) -> None:
    """Return if others may be sent to `url`. Raises InvalidAgentUrl with the reason.

    `allow_private` admits the networks of RFC 1918, and nothing else that is not global.
    """
    if len(url) > _LONGEST or _UNFIT.search(url):
        raise InvalidAgentUrl(f"url must be at most {_LONGEST} printable ASCII characters, no backslash")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as exc:
        raise InvalidAgentUrl("url is not valid") from exc
    if parts.scheme not in ("http", "https"):
        raise InvalidAgentUrl(f'url scheme must be http or https, got "{parts.scheme:.32}"')
    if parts.username is not None or parts.password is not None:
        raise InvalidAgentUrl("url must not carry a user name or a password")
    if not _HOST.fullmatch(host):
        raise InvalidAgentUrl("url must name a host")
    address = _literal(host)
    if address is not None and (reason := _refusal(address, allow_private=allow_private)):
        raise InvalidAgentUrl(f"url targets a blocked address: {reason}")


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """The address that `host` is, also as a resolver reads `127.1`, `0x7f000001` or `017700000001`."""
    bare = host.removesuffix(".")
    try:
        if ":" in bare:
            return _unwrapped(IPv6Address(bare))
        if _ENDS_IN_A_NUMBER.fullmatch(bare):
            return IPv4Address(socket.inet_aton(bare))
    except (ValueError, OSError) as exc:
        raise InvalidAgentUrl("url must name a host") from exc
    return None


def _unwrapped(address: IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for: mapped, 6to4, Teredo's client, NAT64."""
    if int(address) >> 32 == _NAT64 >> 32:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1] or address


def _refusal(address: IPv4Address | IPv6Address, *, allow_private: bool) -> str | None:  # noqa: PLR0911 - a table
    """Why nobody may be sent to `address`; None if it is admitted."""
    if address in _METADATA:
        return "metadata service"
    if address.is_loopback:
        return "loopback address"
    if address.is_link_local:
        return "link-local address"
    if isinstance(address, IPv4Address) and address in _CARRIER:
        return "carrier-grade NAT address"
    if isinstance(address, IPv4Address) and any(address in network for network in _PRIVATE):
        return None if allow_private else "RFC 1918 private address; ALLOW_PRIVATE_AGENT_URLS admits it"
    unicast = address in _UNICAST if isinstance(address, IPv6Address) else address not in _PROTOCOLS
    if address.is_multicast or address.is_reserved or not address.is_global or not unicast:
        return "address that is not global"
    return None
