"""How a worker ends: in order by `drain`, or at once by `shutdown` (09 §3.3)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from iii.protocol.limits import DRAIN_MS
from iii.sdk.calls import ON_LOOP
from iii.sdk.invocation import running
from iii.sdk.options import checked_limit_s

if TYPE_CHECKING:
    from iii.sdk.core import WorkerCore

SHUTDOWN_S = 10.0  # Longest time of `shutdown()`.
DRAIN_S = DRAIN_MS / 1000
_IN_HANDLER = "drain() in a handler would wait for that handler: {} drains when the handler has ended"


class Leaving:
    """The ways out of one worker."""

    _core: WorkerCore

    def drain(self, timeout_s: float = DRAIN_S) -> bool:
        """Leave in order: functions and triggers go to their other owners at once, handlers that run may end, then `shutdown()`.

        Handlers can call others until they have ended. Jobs that had not begun go back to their queue without an attempt.

        Args:
            timeout_s: longest time for the handlers; what runs then is cut off, and its callers get `invocation_stopped`.

        Returns:
            Whether all handlers ended in time.

        Raises:
            RuntimeError: in a handler, which would wait for itself; on the loop's own thread: use `drain_async`; or in a
                forked child: it is not its worker. ValueError: the time is negative or not a number.
        """
        core = self._core
        core.raise_if_forked()
        checked_limit_s("timeout_s", timeout_s)
        if not core.loop.is_running():
            return True
        if core.connection.on_loop():
            raise RuntimeError(ON_LOOP)
        if core.in_handler_thread:
            raise RuntimeError(_IN_HANDLER.format("threading.Thread(target=worker.drain).start()"))
        try:
            ended = asyncio.run_coroutine_threadsafe(core.finish(timeout_s), core.loop).result(timeout_s + SHUTDOWN_S)
        except TimeoutError:  # something blocks the loop
            ended = False
        self.shutdown()
        return ended

    async def drain_async(self, timeout_s: float = DRAIN_S) -> bool:
        """As `drain`, from any event loop; not in a handler either, but in a task that it starts."""
        core = self._core
        core.raise_if_forked()
        checked_limit_s("timeout_s", timeout_s)
        if asyncio.get_running_loop() is core.loop:
            await asyncio.sleep(0)  # a handler is known to be one from its first wait on
            invocation = running.get()
            if invocation is not None and invocation.task is asyncio.current_task():
                raise RuntimeError(_IN_HANDLER.format("asyncio.create_task(worker.drain_async())"))
            ended = await core.finish(timeout_s)
        elif core.loop.is_running():
            ended = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(core.finish(timeout_s), core.loop))
        else:
            return True
        await self.shutdown_async()
        return ended

    def shutdown(self) -> None:
        """Leave at once: async handlers are cancelled, what runs fails; `drain()` lets it end.

        Pending calls end with `SHUTDOWN`, so does every later one; the socket is closed. Again does nothing.

        Raises:
            RuntimeError: on the loop's own thread; use `shutdown_async`. Or in a forked child: it is not its worker.
        """
        self._core.raise_if_forked()
        loop = self._core.loop
        if loop.is_running():
            if self._core.connection.on_loop():
                raise RuntimeError(ON_LOOP)
            asyncio.run_coroutine_threadsafe(self._core.stop(), loop).result(SHUTDOWN_S)

    async def shutdown_async(self) -> None:
        """As `shutdown`, from any event loop."""
        self._core.raise_if_forked()
        loop = self._core.loop
        if asyncio.get_running_loop() is loop:
            await self._core.stop()
        elif loop.is_running():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._core.stop(), loop))
