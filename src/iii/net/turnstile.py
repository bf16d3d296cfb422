"""Connections that bring much read one after the other: others wait for one of them, not for all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from iii.protocol.limits import KIB

READ_AT_ONCE_BYTES = 64 * KIB  # some hundred small messages: 10 ms of work at most
CROWDED_READ_BYTES = KIB  # once all together have read so much in one turn: forty may begin a burst in the same


class Turnstile:
    """Lets one through in each turn of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_soon = loop.call_soon
        self._read_bytes = 0  # in this turn, by all
        self._waiting: deque[Callable[[], None]] = deque()

    def allowance(self) -> int:
        """Bytes that a connection may read now."""
        return READ_AT_ONCE_BYTES if self._read_bytes < READ_AT_ONCE_BYTES else CROWDED_READ_BYTES

    def has_read(self, size: int) -> None:
        """Count what a connection has read in this turn."""
        if not self._read_bytes:
            self._call_soon(self._new_turn)
        self._read_bytes += size

    def _new_turn(self) -> None:
        self._read_bytes = 0

    def wait(self, go: Callable[[], None]) -> None:
        """Call `go` when its turn has come."""
        self._waiting.append(go)
        if len(self._waiting) == 1:
            self._call_soon(self._next)

    def _next(self) -> None:
        go = self._waiting.popleft()
        if self._waiting:
            self._call_soon(self._next)
        go()
