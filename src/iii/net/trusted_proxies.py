"""The address of a client behind proxies that are trusted to tell it (20 §1)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

_MOST = 30  # addresses of one header that are looked at


class TrustedProxies:
    """Networks of proxies. Raises ValueError: one of the texts is not an address or network."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks: tuple[IPv4Network | IPv6Network, ...] = tuple(map(ip_network, networks))

    def client(self, peer: str | None, forwarded_for: str | None) -> str | None:
        """The last address of `X-Forwarded-For` that is not a trusted proxy's, if the TCP peer is one; else the peer's.

        What stands before that address was sent by the client and may be anything.
        """
        if peer is None or not forwarded_for or not self._trusts(peer):
            return peer
        client = peer
        for told in forwarded_for.split(",")[: -_MOST - 1 : -1]:
            address = _plain(told.strip())
            if address is None:
                break
            client = address
            if not self._trusts(address):
                break
        return client

    def _trusts(self, address: str) -> bool:
        try:
            parsed = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        parsed = (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed
        return any(parsed in network for network in self._networks)


def _plain(told: str) -> str | None:
    """An address without port and brackets; None for anything else."""
    if told.startswith("["):
        told = told[1:].partition("]")[0]
    elif told.count(":") == 1:
        told = told.partition(":")[0]
    try:
        return str(ip_address(told))
    except ValueError:
        return None
