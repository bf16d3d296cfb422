"""Which requests may come in at all: those of the console's own pages, at one of its own names (23 §3)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from iii.console.refusal import Refusal

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?").fullmatch
_READS = frozenset({"GET", "HEAD"})
_SAME = frozenset({"same-origin", "none"})


class ConsoleGate:
    """A page of another site can make a browser send requests, but not choose `Host`, `Origin` and `Sec-Fetch-Site`.

    Addresses and `localhost` are always the console's own: a page that rebinds its name to one of them sends that name.
    """

    def __init__(self, own_names: Collection[str]) -> None:
        self._own = frozenset(name.lower().strip("[]") for name in own_names)

    def check(self, method: str, headers: Mapping[str, str]) -> None:
        """Raises Refusal."""
        host = headers.get("Host", "")
        self._check_host(host)
        origin = headers.get("Origin")
        if origin is not None:
            if not _is_at(origin, host):
                raise Refusal(
                    403, f"Origin '{origin[:100]}' is not that of the console, {host}; open the console itself", "FOREIGN_ORIGIN"
                )  # fmt: skip
        elif method not in _READS and headers.get("Sec-Fetch-Site", "none") not in _SAME:
            raise Refusal(403, "the request comes from a page of another site", "FOREIGN_ORIGIN")

    def _check_host(self, host: str) -> None:
        found = _HOST(host)
        if found is None:
            raise Refusal(400, "the request has no usable Host header", "FOREIGN_HOST")
        name = found[1].lower().strip("[]")
        if not (name in self._own or name == "localhost" or name.endswith(".localhost") or _is_address(name)):
            raise Refusal(
                403, f"Host '{name[:100]}' is not a name of the console; add it to `allowed_hosts` of `iii-console`", "FOREIGN_HOST"
            )  # fmt: skip


def _is_at(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
