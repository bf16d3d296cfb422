"""Connections that bring much read one after the other: others wait for one of them, not for all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Turnstile:
    """Lets one through in each turn of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_soon = loop.call_soon
        self._waiting: deque[Callable[[], None]] = deque()

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
