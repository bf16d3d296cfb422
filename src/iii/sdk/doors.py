"""The two ways in: a blocking one with its own thread, and one that lives on the caller's event loop (DESIGN 4, 08 §4.1)."""

import asyncio
import logging
import sys
import threading
from collections.abc import Generator
from types import TracebackType
from typing import Any

from iii.sdk.core import WorkerCore
from iii.sdk.options import InitOptions, engine_url
from iii.sdk.worker import Worker

logger = logging.getLogger("iii.sdk")

JOIN_S = 5.0  # for the loop's thread to end (08 §4.11)


def register_worker(address: str | None = None, options: InitOptions | None = None) -> Worker:
    """Connect a worker and wait for it, at most `options.connect_timeout_ms`; its event loop runs on an own thread.

    The thread keeps the process alive until `shutdown()`, so a program that only registers functions just ends here.

    Args:
        address: of the engine; the default is `III_URL`, then `ws://127.0.0.1:49134`.

    Returns:
        The worker; not yet connected, with a warning, if the engine was not reached in time. It goes on trying.

    Raises:
        RegistrationRejected: the engine does not accept it. ConnectionError: `max_retries` are used up.
        ValueError: the address is none of a WebSocket.
    """
    worker = _ThreadedWorker(engine_url(address), options or InitOptions())
    worker.open()
    return worker


class _ThreadedWorker(Worker):
    """A worker with a loop on a thread of its own."""

    def __init__(self, url: str, options: InitOptions) -> None:
        core = WorkerCore(url, options, _new_loop())
        super().__init__(core)
        # Not a daemon: a worker whose main thread has nothing more to do goes on serving
        self._thread = threading.Thread(target=_run, args=(core,), name="iii worker", daemon=False)
        self._timeout_s = options.connect_timeout_ms / 1000

    def open(self) -> None:
        """Start the thread and wait for the connection, as `register_worker` says."""
        self._thread.start()
        _outlive_main_thread(self)
        settled = self._core.connection.states.settled.wait(self._timeout_s)
        try:
            self._core.raise_if_unusable()
        except BaseException:
            self.shutdown()
            raise
        if not settled:
            _warn_of_waiting(self._timeout_s, self.get_address())

    def shutdown(self) -> None:
        super().shutdown()
        self._stop_thread()
        self._thread.join(JOIN_S)

    async def shutdown_async(self) -> None:
        await super().shutdown_async()
        self._stop_thread()
        if asyncio.get_running_loop() is not self._core.loop:
            await asyncio.to_thread(self._thread.join, JOIN_S)

    def _stop_thread(self) -> None:
        _open_workers.discard(self)
        if not self._core.loop.is_closed():
            self._core.loop.call_soon_threadsafe(self._core.loop.stop)

    def end_if_failed(self) -> None:
        """From now on a worker that will never be connected again shuts itself down: nobody else could know."""

        def judge(state: str) -> None:
            if state == "failed":
                self._core.loop.call_soon_threadsafe(self._shut_down_soon)

        self.add_connection_state_listener(judge)

    def _shut_down_soon(self) -> None:
        self._ending = self._core.loop.create_task(self.shutdown_async())

    def join(self) -> None:
        """Wait until the thread ends, however long."""
        self._thread.join()


def _run(core: WorkerCore) -> None:
    loop = core.loop
    asyncio.set_event_loop(loop)
    loop.call_soon(core.start)
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


_open_workers: set[_ThreadedWorker] = set()


def _outlive_main_thread(worker: _ThreadedWorker) -> None:
    if not _exit_hooked:
        # The interpreter would wait for the thread by itself, but with thread pools closed already, so that no handler
        # could use one, and with a traceback for Ctrl-C. There is no public hook at this point
        threading._register_atexit(_serve_on)  # type: ignore[attr-defined]
        _exit_hooked.append(True)
    _open_workers.add(worker)


_exit_hooked: list[bool] = []


def _serve_on() -> None:
    """The main thread has ended: serve until a shutdown, Ctrl-C or the state `failed`; after an error not at all."""
    leaving = getattr(sys, "last_type", None) is not None
    while _open_workers:
        worker = next(iter(_open_workers))
        try:
            if leaving:
                worker.shutdown()
            else:
                worker.end_if_failed()
                worker.join()
                _open_workers.discard(worker)
        except KeyboardInterrupt:
            leaving = True


def _warn_of_waiting(timeout_s: float, address: str) -> None:
    logger.warning(
        "Timed out after %gs waiting for connection to %s; continuing to retry in background", timeout_s, address
    )


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class connect_worker:
    """A worker on the running event loop, without a thread: ``async with iii.connect_worker(url, options) as worker:``.

    Entering waits as `register_worker` does, leaving shuts down. ``worker = await iii.connect_worker(…)`` leaves the
    shutdown to you.
    """

    def __init__(self, address: str | None = None, options: InitOptions | None = None) -> None:
        self._url = engine_url(address)
        self._options = options or InitOptions()
        self._worker: Worker | None = None

    async def _connected(self) -> Worker:
        core = WorkerCore(self._url, self._options, asyncio.get_running_loop())
        worker = Worker(core)
        settled = asyncio.Event()
        unsubscribe = worker.add_connection_state_listener(
            lambda state: settled.set() if state in ("connected", "failed") else None
        )
        core.start()
        timeout_s = self._options.connect_timeout_ms / 1000
        try:
            async with asyncio.timeout(timeout_s):
                await settled.wait()
            core.raise_if_unusable()
        except TimeoutError:
            _warn_of_waiting(timeout_s, worker.get_address())
        except BaseException:
            await core.stop()
            raise
        finally:
            unsubscribe()
        return worker

    def __await__(self) -> Generator[Any, None, Worker]:
        return self._connected().__await__()

    async def __aenter__(self) -> Worker:
        self._worker = await self._connected()
        return self._worker

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._worker is not None:
            await self._worker.shutdown_async()
