"""How late the event loop comes to what is due: what blocks it makes everybody wait (16 §1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.protocol.measurement import SHORT_SECONDS, Distribution, Measurement

if TYPE_CHECKING:
    from iii.engine.clock import Clock, Timer

EVERY_S = 0.25


class LoopLag:
    """Looks four times a second; before the first scrape it costs nothing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._histogram = Distribution(SHORT_SECONDS)
        self._timer: Timer | None = None

    def start(self) -> None:
        """Look from now on; safe to repeat."""
        if self._timer is None:
            self._look_at(self._clock.now() + EVERY_S)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def measured(self) -> Measurement:
        """As a metric."""
        text = "How late the event loop came to a timer that is due four times a second."
        return Measurement("iii.event_loop.lag", "s", "histogram", text, [((), self._histogram)])

    def _look_at(self, due: float) -> None:
        def look() -> None:
            now = self._clock.now()
            self._histogram.observe(max(now - due, 0.0))
            self._look_at(now + EVERY_S)

        self._timer = self._clock.call_at(due, look)
