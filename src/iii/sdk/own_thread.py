"""A thread for one thing that may block: handlers that hang in the pool of the event loop do not hold it up, nor it the process."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any


async def in_own_thread(function: Callable[[], Any]) -> Any:
    """Its result. Raises what it raises."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if not outcome.done():  # by a cancel
            outcome.set_result((result, error))

    def run() -> None:
        result, failure = None, None
        try:
            result = context.run(function)
        except BaseException as error:  # as a value: a future does not carry StopIteration
            failure = error
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, result, failure)

    context = copy_context()
    threading.Thread(target=run, name="iii thread", daemon=True).start()
    result, error = await outcome
    if error is not None:
        raise error
    return result
