"""The two ways in: a blocking one with its own thread, and one that lives on the caller's event loop (DESIGN 4, 08 §4.1)."""

import asyncio
import logging
import threading
from collections.abc import Generator
from types import TracebackType
from typing import Any

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
    """
    worker = _ThreadedWorker(engine_url(address), options or InitOptions())
    worker.open()
    return worker


class _ThreadedWorker(Worker):
    """A worker with a loop on a thread of its own."""

    def __init__(self, url: str, options: InitOptions) -> None:
        super().__init__(url, options, _new_loop())
        # Not a daemon: a worker whose main thread has nothing more to do goes on serving
        self._thread = threading.Thread(target=self._run, name="iii worker", daemon=False)
        self._timeout_s = options.connect_timeout_ms / 1000

    def open(self) -> None:
        self._thread.start()
        settled = self.wait_until_settled(self._timeout_s)
        try:
            self.raise_if_unusable()
        except BaseException:
            self.shutdown()
            raise
        if not settled:
            logger.warning(
                "Timed out after %gs waiting for connection to %s; continuing to retry in background",
                self._timeout_s,
                self.address,
            )

    def shutdown(self) -> None:
        super().shutdown()
        self._thread.join(JOIN_S)

    async def shutdown_async(self) -> None:
        await super().shutdown_async()
        if asyncio.get_running_loop() is not self._loop:
            await asyncio.to_thread(self._thread.join, JOIN_S)

    async def _stop(self) -> None:
        await super()._stop()
        self._loop.call_soon(self._loop.stop)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self.start)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()


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
        worker = Worker(self._url, self._options, asyncio.get_running_loop())
        settled = asyncio.Event()
        unsubscribe = worker.add_connection_state_listener(
            lambda state: settled.set() if state in ("connected", "failed") else None
        )
        worker.start()
        timeout_s = self._options.connect_timeout_ms / 1000
        try:
            async with asyncio.timeout(timeout_s):
                await settled.wait()
            worker.raise_if_unusable()
        except TimeoutError:
            logger.warning(
                "Timed out after %gs waiting for connection to %s; continuing to retry in background",
                timeout_s,
                worker.address,
            )
        except BaseException:
            await worker.shutdown_async()
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
