"""When waiting calls are over: one timer for all of the same patience, since a timer a call costs more than the call."""

import asyncio
from collections.abc import Callable

from iii.sdk.calls import Waiter


class Deadlines:
    """The calls that wait on one loop, by their patience in ms; each such group ends in the order it began.

    `expire(waiter, timeout_ms)` is called for those whose time is over, by `now()`, which is the loop's. Used on the loop only.
    """

    def __init__(self, now: Callable[[], float], expire: Callable[[Waiter, int], None]) -> None:
        self._now = now
        self._expire = expire
        self._groups: dict[int, dict[Waiter, float]] = {}  # patience → waiter → its deadline, earliest first

    def watch(self, waiter: Waiter, timeout_ms: int) -> dict[Waiter, float]:
        """From now on the waiter has so long; it is to be popped from these when it waits no more."""
        deadline = self._now() + timeout_ms / 1000
        group = self._groups.get(timeout_ms)
        if group is None:
            group = self._groups[timeout_ms] = {}
            asyncio.get_running_loop().call_at(deadline, self._look, timeout_ms)
        group[waiter] = deadline
        return group

    def forget(self, waiter: Waiter, timeout_ms: int) -> None:
        """It waits no more."""
        group = self._groups.get(timeout_ms)
        if group is not None:
            group.pop(waiter, None)

    def _look(self, timeout_ms: int) -> None:
        group = self._groups[timeout_ms]
        loop = asyncio.get_running_loop()
        now = loop.time()
        while group:
            waiter, deadline = next(iter(group.items()))
            if deadline > now:
                loop.call_at(deadline, self._look, timeout_ms)
                return
            del group[waiter]
            self._expire(waiter, timeout_ms)
        del self._groups[timeout_ms]
