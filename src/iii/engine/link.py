"""The outgoing side of one worker connection, as the core sees it."""

from typing import Protocol


class Link(Protocol):
    """Never blocks and never raises; says nothing once it ended (01 §10)."""

    ip_address: str | None

    def send(self, frame: bytes) -> None:
        """Queue one JSON message. Order is kept."""

    def close(self, code: int, reason: str = "") -> None:
        """Send a Close frame after what is queued, then end the connection."""

    def abort(self) -> None:
        """End the connection at once, without a Close frame (01 §2.4)."""
