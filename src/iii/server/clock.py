"""Real time for the core, on the running event loop."""

import asyncio
import time
from collections.abc import Callable


class LoopClock:
    """The loop's own clock, so that timers and readings agree."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = loop.time
        self.time_ns = time.time_ns
        self._call_at = loop.call_at

    def time_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return self._call_at(when, callback)
