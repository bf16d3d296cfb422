"""TLS handshakes of one port that failed: counted, and each address told of once a minute (22 §3)."""

from __future__ import annotations

from collections.abc import Callable

TOLD_AGAIN_S = 60.0
ADDRESSES = 1024  # Most addresses of which the engine remembers that a TLS handshake failed.


class TlsFailures:
    """Attributes:
    count: since the port was opened.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._told: dict[str, float] = {}  # address → when; the oldest first
        self.count = 0

    def is_news(self, peer: str) -> bool:
        """Count one of `ip:port`. Whether it is to be told."""
        self.count += 1
        now, address = self._now(), peer.rpartition(":")[0]
        if now - self._told.get(address, now - TOLD_AGAIN_S) < TOLD_AGAIN_S:
            return False
        self._told.pop(address, None)
        if len(self._told) >= ADDRESSES:
            del self._told[next(iter(self._told))]
        self._told[address] = now
        return True
