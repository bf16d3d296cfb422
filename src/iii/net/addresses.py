"""Which addresses are not for calls from inside (03 §B4)."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_BLOCKED_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
# Outside of global unicast nothing is meant for the internet: local, site-local, multicast, SIIT, discard, local NAT64, …
_GLOBAL_V6 = IPv6Network("2000::/3")
_BLOCKED_V6 = tuple(
    IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "3fff::/20")  # protocols (Teredo too), documentation
)
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # first half of the interface's part; the IPv4 address is the other half

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")
_LAST_PART = re.compile(r".*?(?:^|\.)(0[xX][0-9a-fA-F]*|[0-9]+)\.?", re.DOTALL)


class AddressRefused(OSError):
    """A name of which some address may not be called, or that has none; the text is the error's message."""


class NoAddress(Exception):
    """A host that looks like an IPv4 address and is none."""


def is_blocked(address: IPv4Address | IPv6Address) -> bool:
    """Private, local or meant for no single host; also when an IPv6 address only wraps such an IPv4 one."""
    if isinstance(address, IPv4Address):
        return any(address in network for network in _BLOCKED_V4)
    inside = _wrapped(address)
    if inside is not None:
        return is_blocked(inside)
    return address not in _GLOBAL_V6 or any(address in network for network in _BLOCKED_V6)


def _wrapped(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets for it end up at."""
    number = int(address)
    if address in _NAT64 or (address in _GLOBAL_V6 and number >> 32 & 0xFFFF_FFFF in _ISATAP):
        return IPv4Address(number & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


def literal_address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host of a URL is, in any spelling that browsers know: `127.1`, `0x7f.1`, `2130706433`.

    None for a name. Raises NoAddress: it ends in a number and is no address, so it is no name either.
    """
    if ":" in host:
        try:
            return IPv6Address(host.partition("%")[0])
        except ValueError:
            raise NoAddress from None
    if _LAST_PART.fullmatch(host) is None:
        return None
    parts = host.removesuffix(".").split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        raise NoAddress
    *first, last = (_number(part) for part in parts)
    if any(number > 255 for number in first) or last >= 256 ** (5 - len(parts)):
        raise NoAddress
    value = last
    for position, number in enumerate(first):
        value += number << 8 * (3 - position)
    return IPv4Address(value)


def _number(text: str) -> int:
    if text[:2] in ("0x", "0X"):
        return int(text[2:] or "0", 16)
    if len(text) > 1 and text.startswith("0"):
        try:
            return int(text, 8)
        except ValueError:
            raise NoAddress from None
    return int(text)


def parsed(text: str) -> IPv4Address | IPv6Address:
    """An address as the system's resolver writes it."""
    return ip_address(text.partition("%")[0])
