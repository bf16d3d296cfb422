"""Time by which pauses are measured: nobody can set it while the engine runs (P15)."""

from __future__ import annotations

from iii.engine.clock import Clock


class SteadyTime:
    """Unix milliseconds as the wall clock had them at the start, and from then on by the monotonic clock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._zero_ms = clock.time_ms() - round(clock.now() * 1000)

    def now_ms(self) -> int:
        return self._zero_ms + round(self.clock.now() * 1000)

    def of_wall(self, time_ms: int) -> int:
        """A moment that the wall clock showed, at the latest now; exact if nobody has set that clock since."""
        now_ms = self.now_ms()
        return min(time_ms + now_ms - self.clock.time_ms(), now_ms)
