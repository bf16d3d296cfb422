"""Timers of one consumer: one for each deed, which is done at the earliest time that was asked for."""

from __future__ import annotations

from collections.abc import Callable

from iii.engine.clock import Clock, Timer

_AGAIN_S = 1.0  # after the store failed; doubled each time
_AGAIN_AT_MOST_S = 60.0


class Alarms:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._timers: dict[Callable[[], None], tuple[float, Timer]] = {}
        self._failures: dict[Callable[[], None], int] = {}
        self._only: Callable[[], None] | None = None

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        self.at(self._clock.now() + seconds, act)

    def at(self, when: float, act: Callable[[], None]) -> None:
        """Do it then; what was to be done later is done then, what will be done earlier stays as it is."""
        if self._only is not None and act != self._only:
            return
        waiting = self._timers.get(act)
        if waiting is not None:
            if waiting[0] <= when:
                return
            waiting[1].cancel()

        def due() -> None:
            self._timers.pop(act, None)
            act()

        self._timers[act] = (when, self._clock.call_at(when, due))

    def retry(self, act: Callable[[], None]) -> float:
        """Do again what failed; how many seconds from now: 1, doubled at each failure, at most 60."""
        failures = self._failures[act] = self._failures.get(act, 0) + 1
        seconds: float = min(_AGAIN_S * 2 ** min(failures - 1, 10), _AGAIN_AT_MOST_S)
        self.after(seconds, act)
        return seconds

    def succeeded(self, act: Callable[[], None]) -> None:
        """The next failure of it is the first."""
        if self._failures:
            self._failures.pop(act, None)

    def stop_all_but(self, act: Callable[[], None]) -> None:
        """Nothing else is done from now on."""
        self._only = act

    def close(self) -> None:
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
