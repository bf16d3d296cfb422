"""Connections that bring much read one after the other: others wait for one of them, not for all."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from iii.protocol.limits import KIB

READ_AT_ONCE_BYTES = 128 * KIB  # a thousand small messages: 10 ms of work
TURN_S = 0.008  # of work on what was read, by all connections; then others have a turn
CROWDED_READ_BYTES = KIB  # what a further connection reads in it: forty may begin a burst in the same turn


class ReadTurns:
    """Lets one through in each turn of the loop.

    Attributes:
        is_turning: somebody has read in this turn, so that there may be less to read for others.
        read_bytes: by all connections so far.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float] = time.perf_counter) -> None:
        self._call_soon = loop.call_soon
        self._now = now
        self.is_turning = False
        self.read_bytes = 0
        self._began_at = 0.0  # the turn, if anybody has read in it
        self._waiting: deque[Callable[[], None]] = deque()

    def allowance(self) -> int:
        """Bytes that a connection may read now."""
        return CROWDED_READ_BYTES if self.is_over() else READ_AT_ONCE_BYTES

    def has_read(self) -> None:
        """A connection begins its work on something that it has read."""
        if not self.is_turning:
            self.is_turning = True
            self._began_at = self._now()
            self._call_soon(self._new_turn)

    def is_over(self) -> bool:
        """Whether what was read in this turn has been work enough for one."""
        return self.is_turning and self._now() - self._began_at >= TURN_S

    def _new_turn(self) -> None:
        self.is_turning = False

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
