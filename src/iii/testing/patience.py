"""How long a step of a test takes: until nothing happens any more, or the deadline is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from iii.testing.failures import TriggerFailed, Unfinished

if TYPE_CHECKING:
    from iii.protocol.task_set import TaskSet
    from iii.testing.clock import StandingClock
    from iii.testing.entrance import Entrance
    from iii.testing.traffic import Traffic

__tracebackhide__ = True  # of pytest: a failed test shows its own lines
T = TypeVar("T")
LOOK_S = 0.05  # between two looks at what tells nobody when it ends
_QUIET_TURNS = 3  # of the loop in which nothing happens: then nothing will
_SHOWN = 5


class Patience:
    """On the engine's loop.

    Attributes:
        gave_up: whether something did not end in time.
    """

    def __init__(
        self, clock: StandingClock, traffic: Traffic, entrance: Entrance, tasks: TaskSet, deadline_s: float
    ) -> None:
        self.gave_up = False
        self._clock = clock
        self._traffic = traffic
        self._entrance = entrance
        self._tasks = tasks
        self._deadline_s = deadline_s

    async def settle(self) -> None:
        """Wait until everything has ended that runs or is due. Raises TriggerFailed, Unfinished."""
        until = asyncio.get_running_loop().time() + self._deadline_s
        quiet = 0
        while quiet < _QUIET_TURNS:
            self._traffic.changed.clear()
            if self._clock.is_due or any(end.unread for end in self._entrance.ends):
                quiet = 0
                await asyncio.sleep(0)
            elif self._traffic.running or len(self._tasks) or not self._entrance.is_complete:
                quiet = 0
                await self._change()
            else:
                quiet += 1
                await asyncio.sleep(0)
            if asyncio.get_running_loop().time() > until:
                raise self._unfinished("What the test set going")
        if self._traffic.unheard:
            errors, self._traffic.unheard = self._traffic.unheard, []
            raise TriggerFailed(errors)

    async def _change(self) -> None:
        try:
            async with asyncio.timeout(LOOK_S):
                await self._traffic.changed.wait()
        except TimeoutError:
            return

    async def in_time(self, work: Awaitable[T], what: str, limit_s: float | None = None) -> T:
        """The result of work that ends within the deadline, or another limit. Raises Unfinished."""
        try:
            async with asyncio.timeout(limit_s or self._deadline_s) as limit:
                return await work
        except TimeoutError:
            if not limit.expired():
                raise
            raise self._unfinished(what) from None

    def _unfinished(self, what: str) -> Unfinished:
        self.gave_up = True
        text = f"{what[0].upper()}{what[1:]} did not end within {self._deadline_s:g} s"
        if running := self._traffic.running:
            text += f"; still running: {', '.join(each.function_id for each in running[:_SHOWN])}"
        if hanging := self._traffic.hanging:
            text += (
                f"; hang() leaves {', '.join(hanging[:_SHOWN])} unanswered: a caller gives up if it sets `timeout_ms`"
            )
        if not self._entrance.is_complete:
            text += "; a worker is not connected again"
        return Unfinished(f"{text}. A handler that needs longer: TestEngine(deadline_s=…)")
