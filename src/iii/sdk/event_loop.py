"""The event loop of a worker that has one of its own: uvloop's, where that is installed."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from iii.protocol.log_event import LogEvent
from iii.sdk import forks
from iii.sdk.pool_threads import new_pool

TASKS_CUT_OFF = LogEvent(
    "iii.sdk", "sdk.tasks_cut_off", logging.WARNING, "App ends while tasks run that do not stop",
    means="They were cancelled, and have caught `asyncio.CancelledError` or hang while they clean up.",
    do="Let `CancelledError` pass, and bound what `finally` waits for.",
)  # fmt: skip

END_S = 1.0  # for tasks that were cancelled, and for generators
SHOWN = 10  # names in the log


def new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        loop = asyncio.new_event_loop()
    else:
        loop = uvloop.new_event_loop()
    loop.set_default_executor(new_pool())
    return loop


@forks.runs_loop
def run(main: Coroutine[Any, Any, None]) -> None:
    """As `asyncio.run`, but no task and no thread that does not end holds up the return."""
    loop = new_loop()
    try:
        asyncio.set_event_loop(loop)
        task = loop.create_task(main)
        try:
            loop.run_until_complete(task)
        finally:
            loop.run_until_complete(_end(loop, task))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _end(loop: asyncio.AbstractEventLoop, main: asyncio.Task[None]) -> None:
    if not main.done():  # something has raised in the midst of the loop, such as a signal handler of the program
        main.cancel()  # it drains and stops, which has its own time
        await asyncio.wait((main,))
        _tell(loop, main)
    elif not main.cancelled():
        main.exception()  # is raised already
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        ended, stuck = await asyncio.wait(left, timeout=END_S)
        for task in ended:
            _tell(loop, task)
        if stuck:
            names = {getattr(task.get_coro(), "__qualname__", task.get_name()) for task in stuck}
            TASKS_CUT_OFF(tasks=sorted(names)[:SHOWN], waited_s=END_S)
    closing = asyncio.ensure_future(loop.shutdown_asyncgens())
    await asyncio.wait((closing,), timeout=END_S)
    closing.cancel()


def _tell(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> None:
    """What it has ended with, if that is an error."""
    if not task.cancelled() and (error := task.exception()) is not None:
        text = "unhandled exception of a task at the end of the app"
        loop.call_exception_handler({"message": text, "exception": error, "task": task})
