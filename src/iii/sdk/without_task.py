"""Handlers that never wait, run without a task: that costs more than all else of such a call. Python 3.12 begins tasks at once instead."""

from __future__ import annotations

import asyncio
from asyncio.tasks import _enter_task, _leave_task  # documented, for who makes tasks
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from types import coroutine
from typing import Any

from msgspec import Struct


class Run(Struct, eq=False, weakref=True):
    """What `asyncio.current_task()` gives such a handler: a task of its own that cannot be cancelled any more."""

    name: str
    loop: asyncio.AbstractEventLoop
    callbacks: list[tuple[Callable[[Run], object], Context | None]] | None = None

    def get_name(self) -> str:
        return self.name

    def set_name(self, name: object) -> None:
        self.name = str(name)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self.loop

    def done(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return False

    def cancel(self, msg: object = None) -> bool:
        """Nothing waits that could be cancelled."""
        return False

    def cancelling(self) -> int:
        return 0

    def uncancel(self) -> int:
        return 0

    def add_done_callback(self, callback: Callable[[Run], object], *, context: Context | None = None) -> None:
        if self.callbacks is None:
            self.callbacks = []
        self.callbacks.append((callback, context))

    def remove_done_callback(self, callback: Callable[[Run], object]) -> int:
        before = self.callbacks or []
        self.callbacks = [each for each in before if each[0] != callback]
        return len(before) - len(self.callbacks)

    def over(self) -> None:
        """It has ended."""
        for callback, context in self.callbacks or ():
            self.loop.call_soon(callback, self, context=context)


@coroutine
def _results() -> Generator[Any, Coroutine[Any, Any, Any], None]:
    begun = yield
    while True:
        begun = yield (yield from begun)


def results() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Gives the results of coroutines that never wait, until one raises: then another is to be made.

    What is awaited hands its result over in C. Else it is raised, which costs as much as all of a small handler.
    """
    begun = _results()
    next(begun)
    return begun.send


def run_without_task(
    name: str, loop: asyncio.AbstractEventLoop, run_it: Callable[..., object], *arguments: object
) -> bool:
    """Run what never waits, in a context of its own. On the loop; False, and it has not begun: within a task. Raises what it raises."""
    run: Any = Run(name, loop)
    try:
        _enter_task(loop, run)
    except RuntimeError:
        return False
    try:
        copy_context().run(run_it, *arguments)
    finally:
        _leave_task(loop, run)
        if run.callbacks is not None:
            run.over()
    return True
