"""So many in one turn of the loop, the others in the next ones: what costs milliseconds must not add up (22 §3)."""

from __future__ import annotations

import asyncio
from collections import deque


class PerTurn:
    """Attributes:
    at_once: how many may begin in one turn.
    """

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self._begun = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._loop = asyncio.get_running_loop()

    async def next(self) -> None:
        """Wait for a turn with room."""
        if self._begun < self.at_once:
            self._begin()
            return
        waiting = self._loop.create_future()
        self._waiting.append(waiting)
        await waiting

    def _begin(self) -> None:
        if not self._begun:
            self._loop.call_soon(self._over)
        self._begun += 1

    def _over(self) -> None:
        self._begun = 0
        while self._waiting and self._begun < self.at_once:
            waiting = self._waiting.popleft()
            if not waiting.done():  # its client may have gone
                self._begin()
                waiting.set_result(None)
