"""Work for a worker's event loop, waited for elsewhere: that loop may end before it comes to the work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

_LOOK_S = 0.1  # between two looks whether the loop has ended


def run_there(work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop, limit_s: float) -> T | None:
    """Wait on this thread; None: the loop has ended without it. Raises TimeoutError."""
    future = _handed_over(work, loop)
    if future is None:
        return None
    give_up_at = time.monotonic() + limit_s
    while True:
        left_s = give_up_at - time.monotonic()
        try:
            return future.result(max(0.0, min(_LOOK_S, left_s)))
        except TimeoutError:
            if future.done():  # it is the work's own
                raise
            if loop.is_closed():
                work.close()
                return None
            if left_s <= 0:
                raise


async def await_there(work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T | None:
    """The same in a coroutine of another loop, without an end of the patience."""
    future = _handed_over(work, loop)
    if future is None:
        return None
    waiting = asyncio.wrap_future(future)
    while not (await asyncio.wait((waiting,), timeout=_LOOK_S))[0]:
        if loop.is_closed():
            work.close()
            waiting.cancel()
            return None
    return waiting.result()


def _handed_over(work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> Future[T] | None:
    try:
        return asyncio.run_coroutine_threadsafe(work, loop)
    except RuntimeError:  # closed
        work.close()
        return None
