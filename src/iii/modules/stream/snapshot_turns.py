"""One client's snapshots: how many are read at once, and which wait (P6)."""

from __future__ import annotations

import asyncio
from collections import deque

from iii.net.outbox import Outbox

SNAPSHOTS = 8  # of one client that are read at once; further ones wait, and all while it does not take what it has


class SnapshotTurns:
    """`async with` it to read one."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._reading = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def __aenter__(self) -> None:
        if self._waiting or not self._is_free:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        self._reading += 1
        self.next()

    async def __aexit__(self, *error: object) -> None:
        self._reading -= 1
        self.next()

    def next(self) -> None:
        """Let the next one go on, if it may."""
        while self._waiting and self._is_free:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                break  # it says when it is through

    @property
    def _is_free(self) -> bool:
        return self._reading < SNAPSHOTS and not self._outbox.paused
