"""The end of a worker, as it is waited for from outside of its event loop, or on it (09 §3.3)."""

from __future__ import annotations

import asyncio
from typing import Protocol

from iii.sdk.calls import ON_LOOP
from iii.sdk.invocation import running
from iii.sdk.options import checked_limit_s
from iii.sdk.other_loop import await_there, run_there

SHUTDOWN_S = 10.0  # Longest time of `shutdown()`.
_IN_HANDLER = "drain() in a handler would wait for that handler: {} drains when the handler has ended"


class _Connection(Protocol):
    def on_loop(self) -> bool: ...


class _Core(Protocol):
    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    @property
    def connection(self) -> _Connection: ...

    @property
    def in_handler_thread(self) -> bool: ...

    def raise_if_forked(self) -> None: ...

    async def finish(self, limit_s: float | None = None) -> bool: ...

    async def stop(self) -> None: ...


class Departure:
    """Of one worker. Raises as `Worker.drain` and `Worker.shutdown`."""

    def __init__(self, core: _Core) -> None:
        self._core = core

    def drained(self, timeout_s: float) -> bool | None:
        """Whether all handlers ended in time; None: the worker has stopped before. What remains is to stop."""
        core = self._core
        core.raise_if_forked()
        checked_limit_s("timeout_s", timeout_s)
        if not core.loop.is_running():
            return None
        if core.connection.on_loop():
            raise RuntimeError(ON_LOOP)
        if core.in_handler_thread:
            raise RuntimeError(_IN_HANDLER.format("threading.Thread(target=worker.drain).start()"))
        try:
            return run_there(core.finish(timeout_s), core.loop, timeout_s + SHUTDOWN_S)
        except TimeoutError:  # something blocks the loop
            return False

    async def drained_async(self, timeout_s: float) -> bool | None:
        """As `drained`."""
        core = self._core
        core.raise_if_forked()
        checked_limit_s("timeout_s", timeout_s)
        if asyncio.get_running_loop() is core.loop:
            await asyncio.sleep(0)  # a handler is known to be one from its first wait on
            invocation = running.get()
            if invocation is not None and invocation.task is asyncio.current_task():
                raise RuntimeError(_IN_HANDLER.format("asyncio.create_task(worker.drain_async())"))
            return await core.finish(timeout_s)
        if core.loop.is_running():
            return await await_there(core.finish(timeout_s), core.loop)
        return None

    def stopped(self) -> None:
        core = self._core
        core.raise_if_forked()
        if core.loop.is_running():
            if core.connection.on_loop():
                raise RuntimeError(ON_LOOP)
            run_there(core.stop(), core.loop, SHUTDOWN_S)

    async def stopped_async(self) -> None:
        """As `stopped`."""
        core = self._core
        core.raise_if_forked()
        if asyncio.get_running_loop() is core.loop:
            await core.stop()
        elif core.loop.is_running():
            await await_there(core.stop(), core.loop)
