"""Tasks that somebody owns: the event loop itself keeps only weak references to them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

from iii.protocol.log_event import LogEvent


class TaskSet:
    """Runs coroutines until they end or are cancelled.

    Args:
        failure: logged when one raises.
    """

    def __init__(self, failure: LogEvent) -> None:
        self._failure = failure
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[asyncio.Task[None]]:
        """Those that run now; they may end meanwhile."""
        return iter(list(self._tasks))

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def cancel(self) -> None:
        """All of them; each ends when the loop comes to it."""
        for task in self:
            task.cancel()

    async def wait(self, limit_s: float | None = None) -> bool:
        """Until all have ended, those too that are begun meanwhile, or the time is over: False."""
        try:
            async with asyncio.timeout(limit_s):
                while self._tasks:
                    await asyncio.wait(self._tasks)
        except TimeoutError:
            return False
        return True

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure(error)
