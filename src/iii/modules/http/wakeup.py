"""What a coroutine waits for while callbacks change what it looks at."""

from __future__ import annotations

import asyncio
from math import inf


class Wakeup:
    """One coroutine waits at a time; it looks at everything again whenever it is woken."""

    __slots__ = ("_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Something changed."""
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def wait(self, until: float = inf) -> None:
        """Until the next change, or that time of the loop; what changed before is for the caller to have looked at."""
        self._waiting = self._loop.create_future()
        timer = None if until == inf else self._loop.call_at(until, self.wake)
        try:
            await self._waiting
        finally:
            self._waiting = None
            if timer is not None:
                timer.cancel()
