"""Looks at one topic for as long as a page follows it (23 §6)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from iii.console.door import EngineAway
from iii.protocol.errors import InvocationError
from iii.protocol.log_event import LogEvent

if TYPE_CHECKING:
    from iii.console.desk import Desk
    from iii.console.live.look_turns import LookTurns
    from iii.console.live.topic import Topic

LOOK_FAILED = LogEvent(
    __name__, "console.look_failed", logging.ERROR, "Console failed to look at what a page follows",
    means="A list of the console is not up to date; the next look follows.",
    do="Report it with its stack trace.",
)  # fmt: skip
LEAST_S = 0.15  # from one look to the next, whatever happens
_MOST_S = 10.0  # until the next look, however much the last one cost
_REFUSED_S = 5.0  # what was refused may be allowed later
_AGAIN_S = 1.0  # after one that failed


class Following:
    """Args:
        looks: so many at once, with the other topics of the visitor and of all.
        crowd: factor of the pause after each look.

    Attributes:
        failure: why nothing can be shown; None: it can.
    """

    def __init__(self, topic: Topic, desk: Desk, looks: LookTurns, crowd: Callable[[], float]) -> None:
        self.topic = topic
        self.failure: InvocationError | None = None
        self._desk = desk
        self._looks = looks
        self._crowd = crowd
        self._nudge = asyncio.Event()
        self._pages: dict[object, Callable[[], None]] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def followed(self) -> bool:
        return bool(self._pages)

    def join(self, page: object, told: Callable[[], None]) -> None:
        """Have changes told. The first one begins the looks."""
        self._pages[page] = told
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def leave(self, page: object) -> None:
        """The last one ends them."""
        self._pages.pop(page, None)
        if not self._pages and self._task is not None:
            self._task.cancel()
            self._task = None

    def look_now(self) -> None:
        """Whatever the interval says."""
        self._nudge.set()

    async def _run(self) -> None:
        door = self._desk.door
        watches = [door.watch(each.trigger_type, each.config, self._nudged) for each in self.topic.nudges]
        try:
            while True:
                self._nudge.clear()
                async with self._looks:
                    pause_s = await self._look()
                await asyncio.sleep(pause_s)
                try:
                    async with asyncio.timeout(max(0.0, self.topic.interval_s - pause_s)):
                        await self._nudge.wait()
                except TimeoutError:
                    pass
        finally:
            for watch in watches:
                watch.end()

    def _nudged(self, payload: bytes) -> None:
        self.topic.nudged(payload)
        self._nudge.set()

    async def _look(self) -> float:
        """Seconds for which there is to be no other one."""
        began = time.thread_time()
        try:
            changed = await self.topic.look(self._desk)
        except EngineAway:
            return _AGAIN_S
        except TimeoutError:
            return _REFUSED_S
        except InvocationError as error:
            changed, self.failure = self.failure is None, error
        except Exception as error:  # whatever an engine answers that is not what it should
            LOOK_FAILED(error if not isinstance(error, msgspec.MsgspecError) else None, reason=str(error))
            return _REFUSED_S
        else:
            changed = changed or self.failure is not None
            self.failure = None
        if changed:
            for told in list(self._pages.values()):
                told()
        if self.failure is not None:
            return _REFUSED_S
        return min(max(LEAST_S, (time.thread_time() - began) * self.topic.share), _MOST_S) * self._crowd()
