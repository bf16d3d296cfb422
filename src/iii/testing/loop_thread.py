"""An event loop on a thread of its own, and work that others do there."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Coroutine
from concurrent.futures import Future, wait
from types import TracebackType
from typing import Any, TypeVar

from iii.protocol.errors import InvocationError
from iii.protocol.traceback_text import from_outside
from iii.testing.failures import JobFailed, TriggerFailed, Unfinished

T = TypeVar("T")
GRACE_S = 2.0  # for a loop that is not blocked to have its next turn, and to end
CANCEL_S = 1.0  # for tasks that are left when it ends
_TOLD = (InvocationError, TriggerFailed, JobFailed, Unfinished)  # their texts say all
_INSIDE = ("iii.", "asyncio.", "concurrent.", "contextlib.")
_FRAMES = 6  # of what blocks it that are shown
_AT_ONCE_S = 0.2  # for the turn of a loop that nothing blocks
_BLOCKED = (
    "a handler blocks the event loop of the test engine, here:\n{}\n"
    "Make it a plain `def`, or `await asyncio.to_thread(…)` what blocks"
)
_ON_THE_LOOP = (
    "this is the event loop of the test engine: a handler that calls uses its app or worker, not the test engine"
)


__tracebackhide__ = True  # of pytest: a failed test shows its own lines


class LoopThread:
    """Work has deadlines of its own; it is only watched that the loop turns."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def runs(self) -> bool:
        """Whether it was started and not stopped."""
        return self._loop is not None

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_serve, args=(self._loop,), name="iii test engine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; a loop that is blocked is left behind."""
        loop, self._loop = self._loop, None
        if loop is not None and self._thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join(GRACE_S)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of work on the loop. Raises Unfinished: something blocks the loop."""
        loop = self._entered(work, threading.get_ident() == (self._thread and self._thread.ident))
        result = asyncio.run_coroutine_threadsafe(_carried(work), loop)
        blocked_at = ""
        while not wait((result,), self._deadline_s).done:
            blocked_at = self._blocked_at(loop) or blocked_at
        return _outcome(result, blocked_at)

    async def run_async(self, work: Coroutine[Any, Any, T]) -> T:
        """As `run`, without blocking the running loop."""
        loop = self._entered(work, asyncio.get_running_loop() is self._loop)
        result = asyncio.run_coroutine_threadsafe(_carried(work), loop)
        here = asyncio.wrap_future(result)
        blocked_at = ""
        try:
            while not (await asyncio.wait((here,), timeout=self._deadline_s))[0]:
                blocked_at = await asyncio.to_thread(self._blocked_at, loop) or blocked_at
        finally:
            here.cancel()
        return _outcome(result, blocked_at)

    def _entered(self, work: Coroutine[Any, Any, T], from_inside: bool) -> asyncio.AbstractEventLoop:
        if self._loop is None or from_inside:
            work.close()
            raise RuntimeError(_ON_THE_LOOP)
        return self._loop

    def _blocked_at(self, loop: asyncio.AbstractEventLoop) -> str:
        """Where the thread is, if the loop does not turn at once; else "". Raises Unfinished: nor does it within the grace."""
        turned = threading.Event()
        loop.call_soon_threadsafe(turned.set)
        if turned.wait(_AT_ONCE_S):
            return ""
        place = self._place()
        if not turned.wait(GRACE_S):
            raise Unfinished(_BLOCKED.format(place))
        return place

    def _place(self) -> str:
        """Where the thread is."""
        ident = None if self._thread is None else self._thread.ident
        frame = None if ident is None else sys._current_frames().get(ident)
        return "".join(traceback.format_stack(frame)[-_FRAMES:]).rstrip() if frame is not None else "unknown"


class _Ends(Exception):
    """What would end the loop, on its way to whoever waits for the work."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


def _outcome(result: Future[T], blocked_at: str) -> T:
    """What the work gave. Raises what it raised, without what this package did meanwhile."""
    error = result.exception()
    if error is None:
        return result.result()
    if isinstance(error, _Ends):
        raise error.error from None
    if isinstance(error, Unfinished) and blocked_at:
        error.add_note(_BLOCKED.format(blocked_at))
    raise error.with_traceback(_from_the_user(error))


def _from_the_user(error: BaseException) -> TracebackType | None:
    """The traceback from the first line on that is a user's, such as that of a hook; nothing of an error that is for tests."""
    trace = from_outside(error.__traceback__, _INSIDE)
    return trace if trace is not None or isinstance(error, _TOLD) else error.__traceback__


async def _carried(work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    except (SystemExit, KeyboardInterrupt) as error:
        raise _Ends(error) from None


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        if left := asyncio.all_tasks(loop):  # of handlers, or of a worker whose end was given up: as `asyncio.run` does
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.wait(left, timeout=CANCEL_S))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
