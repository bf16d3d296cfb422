"""Time in the hand of a test."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class FakeTimer:
    """What `FakeClock.call_at` returns."""

    def __init__(self, clock: FakeClock, callback: Callable[[], None]) -> None:
        self._clock = clock
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Do not call back; does nothing once it has."""
        if self.callback is not None:
            self.callback = None
            self._clock.timers.discard(self)


class FakeClock:
    """Jumps instead of sleeping; `timers` are those that would still fire."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._queue: list[tuple[float, int, FakeTimer]] = []
        self._order = itertools.count()
        self.timers: set[FakeTimer] = set()
        self._wall_s = 0.0

    def set_wall_clock(self, seconds: float) -> None:
        """Somebody sets the time of day, so far forward or back."""
        self._wall_s += seconds

    def now(self) -> float:
        """Seconds, monotonic."""
        return self._now

    def time_ms(self) -> int:
        """Unix milliseconds, as somebody has set them."""
        return 1_760_000_000_000 + int((self._now + self._wall_s) * 1000)

    def call_at(self, when: float, callback: Callable[[], None]) -> FakeTimer:
        """Call back when time has come to `when`, as `now` counts."""
        timer = FakeTimer(self, callback)
        self.timers.add(timer)
        heapq.heappush(self._queue, (when, next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass, firing what is due, in order."""
        end = self._now + seconds
        while self._queue and self._queue[0][0] <= end + 1e-9:
            when, _, timer = heapq.heappop(self._queue)
            if timer.callback is None:
                continue
            self._now = max(self._now, when)
            callback, timer.callback = timer.callback, None
            self.timers.discard(timer)
            callback()
        self._now = max(self._now, end)
