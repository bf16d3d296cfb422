"""An event loop on a thread of its own, and work that others do there."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Coroutine
from typing import Any, TypeVar

from iii.testing.failures import Unfinished

T = TypeVar("T")
GRACE_S = 2.0  # for a loop that is not blocked to have its next turn, and to end
_FRAMES = 6  # of what blocks it that are shown
_ON_THE_LOOP = (
    "this is the event loop of the test engine: a handler that calls uses its app or worker, not the test engine"
)


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
        while True:
            try:
                return result.result(self._deadline_s + GRACE_S)
            except _Ends as ends:
                raise ends.error from None
            except TimeoutError:
                if result.done():  # it is what the work raised
                    raise
            turned = threading.Event()
            loop.call_soon_threadsafe(turned.set)
            if not turned.wait(GRACE_S):
                raise Unfinished(f"a handler blocks the event loop of the test engine, here:\n{self._place()}")

    async def run_async(self, work: Coroutine[Any, Any, T]) -> T:
        """As `run`, without blocking the running loop."""
        loop = self._entered(work, asyncio.get_running_loop() is self._loop)
        try:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_carried(work), loop))
        except _Ends as ends:
            raise ends.error from None

    def _entered(self, work: Coroutine[Any, Any, T], from_inside: bool) -> asyncio.AbstractEventLoop:
        if self._loop is None or from_inside:
            work.close()
            raise RuntimeError(_ON_THE_LOOP)
        return self._loop

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


async def _carried(work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    except (SystemExit, KeyboardInterrupt) as error:
        raise _Ends(error) from None


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
