"""Timers of one consumer: one for each deed, which is done at the earliest time that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from iii.engine.clock import Clock, Timer

_AGAIN_S = 1.0  # after the store failed; doubled each time
_AGAIN_AT_MOST_S = 60.0


class Timers:
    """All of a consumer: they end together."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._kept: Alarm | None = None  # the only one that is still set, once the consumer stops
        self._alarms: list[Alarm] = []

    def of(self, act: Callable[[], None]) -> Alarm:
        """The timer of a deed."""
        self._alarms.append(alarm := Alarm(self, act))
        return alarm

    def stop_all_but(self, alarm: Alarm) -> None:
        """What is set is done; nothing else is set from now on."""
        self._kept = alarm

    @property
    def stopping(self) -> bool:
        """Whether the consumer stops."""
        return self._kept is not None

    def takes(self, alarm: Alarm) -> bool:
        """Whether it may still be set."""
        return self._kept in (None, alarm)

    def close(self) -> None:
        for alarm in self._alarms:
            alarm.cancel()


class Alarm:
    """When a deed is done next, and how often it has failed."""

    __slots__ = ("_act", "_failures", "_timer", "_timers", "_when")

    def __init__(self, timers: Timers, act: Callable[[], None]) -> None:
        self._timers = timers
        self._act = act
        self._when = inf
        self._timer: Timer | None = None
        self._failures = 0

    def after(self, seconds: float) -> None:
        self.at(self._timers.clock.now() + seconds)

    def at(self, when: float) -> None:
        """Do it then; what was to be done later is done then, what will be done earlier stays as it is."""
        if self._when <= when or not self._timers.takes(self):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._when = when
        self._timer = self._timers.clock.call_at(when, self._due)

    def retry(self) -> float:
        """Do again what failed; how many seconds from now: 1, doubled at each failure, at most 60."""
        seconds: float = min(_AGAIN_S * 2 ** min(self._failures, 10), _AGAIN_AT_MOST_S)
        self._failures += 1
        self.after(seconds)
        return seconds

    def succeeded(self) -> None:
        """The next failure is the first."""
        self._failures = 0

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._when = None, inf

    def _due(self) -> None:
        self._timer, self._when = None, inf
        self._act()
