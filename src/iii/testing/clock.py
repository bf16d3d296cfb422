"""Time in the hand of a test."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime


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

    def time_ns(self) -> int:
        """The same in nanoseconds."""
        return self.time_ms() * 1_000_000

    def call_at(self, when: float, callback: Callable[[], None]) -> FakeTimer:
        """Call back when time has come to `when`, as `now` counts."""
        timer = FakeTimer(self, callback)
        self.timers.add(timer)
        heapq.heappush(self._queue, (when, next(self._order), timer))
        return timer

    def next_due(self) -> float | None:
        """When the next timer fires, as `now` counts; None if none is set."""
        while self._queue and self._queue[0][2].callback is None:
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else None

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


class StandingClock(FakeClock):
    """For an engine that runs on an event loop: what is due fires by itself, but time passes only by `advance`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, begins: datetime) -> None:
        """`begins`: the time of day at first; without a zone it is UTC."""
        super().__init__()
        self._loop = loop
        self._fires_soon = False
        self.set_wall_clock(begins.replace(tzinfo=begins.tzinfo or UTC).timestamp() - self.time_ms() / 1000)

    @property
    def is_due(self) -> bool:
        """Whether a timer fires in the next turn of the loop."""
        due = self.next_due()
        return due is not None and due <= self._now

    def call_at(self, when: float, callback: Callable[[], None]) -> FakeTimer:
        timer = super().call_at(when, callback)
        if when <= self._now:
            self._fire_soon()
        return timer

    def _fire_soon(self) -> None:
        if not self._fires_soon:
            self._fires_soon = True
            self._loop.call_soon(self._fire)

    def _fire(self) -> None:
        self._fires_soon = False
        try:
            self.advance(0)
        finally:
            if self.is_due:  # a callback raised; the others are not its fault
                self._fire_soon()
