"""The invocations that a worker runs, and how one is stopped whose result nobody wants any more (P11)."""

import asyncio
import logging

from iii.protocol.log_event import LogEvent
from iii.sdk.invocation import Invocation

CLEAN_UP_S = 10.0  # for a handler to end that was cancelled; then the log tells of it

HANDLER_NOT_STOPPED = LogEvent(
    __name__, "handler.not_stopped", logging.WARNING, "Handler is still running after its call was cancelled",
    means="The clean-up of an async handler takes more than 10 s, or the handler ignores `CancelledError`.",
    do="Let `CancelledError` pass, and bound what `finally` waits for.",
)  # fmt: skip


class RunningInvocations:
    """Those that are on a thread, and the tasks of those that wait on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.tasks: dict[Invocation, asyncio.Task[None]] = {}
        self._loop = loop
        self._by_id: dict[str, Invocation] = {}

    def add(self, invocation: Invocation, task: asyncio.Task[None] | None = None) -> None:
        """It is on a thread from now on, or goes on as a task."""
        if invocation.invocation_id is not None:
            self._by_id[invocation.invocation_id] = invocation
        if task is not None:
            self.tasks[invocation] = task  # the loop itself holds tasks weakly
            if invocation.cancelled:  # while a thread had it
                self._stop(invocation, task)

    def remove(self, invocation: Invocation) -> None:
        """It has ended."""
        self.tasks.pop(invocation, None)
        if invocation.invocation_id is not None:
            self._by_id.pop(invocation.invocation_id, None)

    def cancel(self, invocation_id: str) -> None:
        """Stop it if it is a task; a thread cannot be stopped, but its handler can ask. On the loop."""
        invocation = self._by_id.get(invocation_id)
        if invocation is None or invocation.cancelled:  # it has ended meanwhile
            return
        invocation.cancelled = True
        task = self.tasks.get(invocation)
        if task is not None:
            self._stop(invocation, task)

    def _stop(self, invocation: Invocation, task: asyncio.Task[None]) -> None:
        task.cancel()
        self._loop.call_later(CLEAN_UP_S, self._complain, invocation)

    def _complain(self, invocation: Invocation) -> None:
        if invocation in self.tasks:
            HANDLER_NOT_STOPPED(function_id=invocation.function_id, invocation_id=invocation.invocation_id)
