"""The invocations that a worker runs, and how one is stopped whose result nobody wants any more (P11)."""

import asyncio
import logging

from iii.protocol.log_event import LogEvent
from iii.sdk.invocation import Invocation

CLEAN_UP_S = 10.0  # for a handler to end that was cancelled; then the log tells of it

HANDLER_NOT_STOPPED = LogEvent(
    "iii.sdk", "handler.not_stopped", logging.WARNING, "Handler is still running after its call was cancelled",
    means="Its caller cancelled it, or its time is over, more than 10 s ago. Each such handler keeps its thread or task until it ends.",
    do="In an async handler let `CancelledError` pass, and bound what `finally` waits for; in a sync one look at "
    "`iii.current_invocation().cancelled`, and give whatever it waits for a time-out.",
)  # fmt: skip


class RunningInvocations:
    """Those that are on a thread, those that wait on the loop as tasks, and the one that runs there without waiting.

    Attributes:
        at_once: that one, which nothing can stop; but it may compute for long, and is to be found then.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.at_once: Invocation | None = None
        self._running: dict[str | Invocation | None, Invocation] = {}  # by id; by itself, if another one has its id

    def __len__(self) -> int:
        return len(self._running) + (self.at_once is not None)

    def tasks(self) -> list[asyncio.Task[None]]:
        """Of those that wait on the loop."""
        return [invocation.task for invocation in list(self._running.values()) if invocation.task is not None]

    def functions(self) -> list[str]:
        """Whose handlers run."""
        at_once = self.at_once
        running = [*self._running.values()] if at_once is None else [*self._running.values(), at_once]
        return sorted({invocation.function_id for invocation in running})

    def add(self, invocation: Invocation, task: asyncio.Task[None] | None = None) -> None:
        """It is on a thread from now on, or goes on as a task, which the loop itself holds weakly."""
        if self._running.setdefault(invocation.invocation_id, invocation) is not invocation:
            self._running[invocation] = invocation
        if task is not None:
            invocation.task = task
            if invocation.cancelled:  # while a thread had it
                task.cancel()

    def remove(self, invocation: Invocation) -> None:
        """It has ended."""
        invocation.task = None
        other = self._running.pop(invocation.invocation_id, None)
        if other is not invocation:
            if other is not None:
                self._running[invocation.invocation_id] = other
            self._running.pop(invocation, None)

    def cancel(self, invocation_id: str) -> None:
        """Stop it if it is a task; a thread cannot be stopped, but its handler can ask. On the loop."""
        invocation = self._running.get(invocation_id)
        if invocation is None or invocation.cancelled:  # it has ended meanwhile
            return
        invocation.cancelled = True
        if invocation.task is not None:
            invocation.task.cancel()
        self._loop.call_later(CLEAN_UP_S, self._complain, invocation)

    def _complain(self, invocation: Invocation) -> None:
        if self._running.get(invocation.invocation_id) is invocation or invocation in self._running:
            HANDLER_NOT_STOPPED(function=invocation.function_id, invocation_id=invocation.invocation_id)
