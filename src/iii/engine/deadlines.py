"""When calls with a deadline are over (P7): one timer for all of them, since a timer a call costs more than the call."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import TYPE_CHECKING

from iii.protocol.errors import InvocationTimeout

if TYPE_CHECKING:
    from iii.engine.clock import Clock, Timer
    from iii.engine.invocation import Invocation

_AT_ONCE = 250  # calls that end in one turn of the loop
_ANSWERED_KEPT = 64  # entries of answered calls that are not worth looking for


class Deadlines:
    """The calls that have one, earliest first. Those that were answered are thrown out when they are the greater part."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Invocation]] = []
        self._order = count()
        self._waiting = 0
        self._timer: Timer | None = None
        self._wakes_at = inf

    def __len__(self) -> int:
        return len(self._heap)

    def watch(self, invocation: Invocation, timeout_ms: int) -> None:
        """From now on it has so long."""
        invocation.timeout_ms = timeout_ms
        deadline = self._clock.now() + timeout_ms / 1000
        heappush(self._heap, (deadline, next(self._order), invocation))
        self._waiting += 1
        if deadline < self._wakes_at:
            self._wake_at(deadline)

    def settled(self) -> None:
        """One that is watched has its answer, or nobody wants one."""
        self._waiting -= 1
        if len(self._heap) > 2 * self._waiting + _ANSWERED_KEPT:
            self._heap = [entry for entry in self._heap if entry[2].waiter is not None]
            heapify(self._heap)

    def _wake_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at = when
        self._timer = self._clock.call_at(when, self._look)

    def _look(self) -> None:
        self._timer, self._wakes_at = None, inf
        now = self._clock.now()
        for _ in range(_AT_ONCE):
            while self._heap and self._heap[0][2].waiter is None:  # answered: the next timer need not be for it
                heappop(self._heap)
            if not self._heap or self._heap[0][0] > now:
                break
            invocation = heappop(self._heap)[2]
            assert invocation.timeout_ms is not None  # `watch` gave it
            invocation.cancel(InvocationTimeout(invocation.timeout_ms))
        if self._heap:
            self._wake_at(self._heap[0][0])
