"""The two ways in: a blocking one with its own thread, and one that lives on the caller's event loop (08 §4.1)."""

import asyncio
import logging
import threading
from collections.abc import Generator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from iii.protocol.log_event import LogEvent
from iii.sdk import forks
from iii.sdk.acceptance import CONNECT_OVERDUE, accepted
from iii.sdk.core import WorkerCore
from iii.sdk.engine_address import engine_url
from iii.sdk.event_loop import new_loop
from iii.sdk.options import InitOptions, checked_options
from iii.sdk.other_loop import run_there
from iii.sdk.process_end import end_by_sigterm, leave, serve_on_after_main, told_to_end
from iii.sdk.seen_as import seen_as
from iii.sdk.worker import Worker

LOOP_INTERRUPTED = LogEvent(
    "iii.sdk", "sdk.loop_interrupted", logging.ERROR, "Event loop of the worker was interrupted by a callback",
    means="A callback raised KeyboardInterrupt or SystemExit; the loop goes on.",
    do="Do not exit in callbacks of the event loop; call `shutdown()` of the worker.",
)  # fmt: skip
LOOP_FAILED = LogEvent(
    "iii.sdk", "sdk.loop_failed", logging.CRITICAL, "Event loop of the worker failed",
    means="The worker has ended.",
    do="Report it with its stack trace.",
)  # fmt: skip
JOIN_S = 5.0  # for the loop's thread to end (08 §4.11)
LOOK_S = 1.0  # between two looks for signals


def register_worker(address: str | None = None, options: InitOptions | None = None) -> Worker:
    """Connect a worker and wait until the engine accepts it, at most `options.connect_timeout_ms`.

    Its event loop runs on a thread of its own, which keeps the process alive until `shutdown()` when the main thread runs
    to its end: a program that only registers functions just ends here. `sys.exit`, an error and SIGTERM end the process.
    In the main thread a handler for SIGTERM is installed, unless the program has one: it drains the worker.

    Args:
        address: of the engine; the default is `III_URL`, then `ws://127.0.0.1:49134`.

    Returns:
        The worker; not yet connected, with a warning, if the engine was not reached in time. It goes on trying.

    Raises:
        RegistrationRejected: the engine does not accept it; a name that is taken is tried again until the time is over.
        ConnectionError: `max_retries` are used up.
        ValueError: the address is not a WebSocket URL. TypeError: `options` is not an `InitOptions`.
    """
    worker = _ThreadedWorker(engine_url(address), checked_options(options))
    worker.open()
    return worker


@seen_as("Worker")
class _ThreadedWorker(Worker):
    """A worker with a loop on a thread of its own."""

    def __init__(self, url: str, options: InitOptions) -> None:
        core = WorkerCore(url, options, new_loop())
        super().__init__(core)
        core.leave = self.shutdown_async
        # Not a daemon: a worker whose main thread has nothing more to do goes on serving
        self._thread = threading.Thread(target=self._run, name="iii worker", daemon=False)
        self._timeout_s = options.connect_timeout_ms / 1000
        self._failed = False
        self._stopping = False

    def open(self) -> None:
        """Start the thread and wait for the connection, as `register_worker` says."""
        end_by_sigterm(None)
        self._thread.start()
        serve_on_after_main(self)
        try:
            settled = self._core.connection.states.settled.wait(self._timeout_s)
            self._core.raise_if_refused()
        except BaseException:
            self.shutdown()
            raise
        if not settled:
            CONNECT_OVERDUE(waited_s=f"{self._timeout_s:g}", address=self.get_address())

    def shutdown(self) -> None:
        try:
            super().shutdown()
        except TimeoutError:  # what is left dies with the thread
            self._stop_thread()
            raise
        self._stop_thread()
        self._thread.join(JOIN_S)

    async def shutdown_async(self) -> None:
        await super().shutdown_async()
        self._stop_thread()
        if asyncio.get_running_loop() is not self._core.loop:
            await asyncio.to_thread(self._thread.join, JOIN_S)

    def _stop_thread(self) -> None:
        leave(self)
        self._stopping = True
        if not self._core.loop.is_closed():
            with suppress(RuntimeError):  # it closes in this moment
                self._core.loop.call_soon_threadsafe(self._core.loop.stop)

    # -- the end of the process -----------------------------------------------------------------------------------

    @property
    def serves(self) -> bool:
        return self._core.serves

    @property
    def refused(self) -> bool:
        return self._failed

    @property
    def drain_s(self) -> float:
        return self._core.drain_s

    def end_if_failed(self) -> None:
        def judge(state: str) -> None:
            if state == "failed" and not self._core.loop.is_closed():
                self._failed = True
                self._core.loop.call_soon_threadsafe(self._shut_down_soon)

        self.add_connection_state_listener(judge)

    def _shut_down_soon(self) -> None:
        self._ending = self._core.loop.create_task(self.shutdown_async())

    def begin_to_finish(self) -> None:
        core = self._core
        with suppress(RuntimeError):  # closed: it has ended by itself
            # Made there: a loop that ends before it comes to it would leave a coroutine that was never awaited
            core.loop.call_soon_threadsafe(lambda: asyncio.ensure_future(core.finish()))

    def finish(self) -> None:
        loop = self._core.loop
        if loop.is_running():
            with suppress(TimeoutError):  # something blocks the loop
                run_there(self._core.finish(), loop, self._core.drain_s + JOIN_S)
        self.shutdown()

    def join(self) -> None:
        while self._thread.is_alive():
            self._thread.join(LOOK_S)  # a signal may come to another thread, and then does not interrupt this one

    @forks.runs_loop
    def _run(self) -> None:
        """The thread: the loop runs until it is told to stop, whatever escapes a callback."""
        core, loop = self._core, self._core.loop
        asyncio.set_event_loop(loop)
        loop.call_soon(core.start)
        try:
            while not self._stopping:
                try:
                    loop.run_forever()
                except (KeyboardInterrupt, SystemExit) as error:
                    if core.forked:
                        forks.end_child(error)
                    LOOP_INTERRUPTED(error, worker=core.name)
            loop.run_until_complete(loop.shutdown_asyncgens())
        except BaseException as error:
            if core.forked:  # uvloop fails so where a task of the child has exited
                forks.end_child(error)
            LOOP_FAILED(error, worker=core.name)
        finally:
            core.break_off()
            loop.close()


class connect_worker:
    """A worker on the running event loop, without a thread: ``async with iii.connect_worker(url, options) as worker:``.

    Entering waits as `register_worker` does, leaving shuts down. ``worker = await iii.connect_worker(…)`` leaves the
    shutdown to you. SIGTERM drains the worker, then ends the event loop of the main thread with `SystemExit`, unless the
    program handles it.
    """

    def __init__(self, address: str | None = None, options: InitOptions | None = None) -> None:
        self._url = engine_url(address)
        self._options = checked_options(options)
        self._core: WorkerCore | None = None

    if not TYPE_CHECKING:  # type checkers say so by themselves

        def __getattr__(self, name: str) -> NoReturn:
            ways = "`async with iii.connect_worker(…) as worker:`, or `worker = await iii.connect_worker(…)`"
            raise AttributeError(
                f"connect_worker has no attribute {name!r}: it gives the worker when it is entered, {ways}"
            )

    async def _connected(self) -> Worker:
        core = self._core = WorkerCore(self._url, self._options, asyncio.get_running_loop())
        end_by_sigterm(core)
        worker = Worker(core)
        core.start()
        try:
            await accepted(core, self._options.connect_timeout_ms / 1000)
        except BaseException:
            await core.stop()
            raise
        return worker

    def __await__(self) -> Generator[Any, None, Worker]:
        return self._connected().__await__()

    async def __aenter__(self) -> Worker:
        return await self._connected()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._core is None or self._core.forked:
            return
        try:
            if told_to_end():
                await self._core.finish()
        finally:
            await self._core.stop()
