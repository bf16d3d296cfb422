"""How a worker ends: in order by `drain`, or at once by `shutdown` (09 §3.3)."""

from __future__ import annotations

from iii.protocol.limits import DRAIN_MS
from iii.sdk import hints

DRAIN_S = DRAIN_MS / 1000


class Leaving:
    """The ways out of one worker."""

    _core: hints.WorkerCore

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
        ended = self._core.departure.drained(timeout_s)
        if ended is None:
            return True
        self.shutdown()
        return ended

    async def drain_async(self, timeout_s: float = DRAIN_S) -> bool:
        """As `drain`, from any event loop; not in a handler either, but in a task that it starts."""
        ended = await self._core.departure.drained_async(timeout_s)
        if ended is None:
            return True
        await self.shutdown_async()
        return ended

    def shutdown(self) -> None:
        """Leave at once: async handlers are cancelled, what runs fails; `drain()` lets it end.

        Pending calls end with `SHUTDOWN`, so does every later one; the socket is closed. Again does nothing.

        Raises:
            RuntimeError: on the loop's own thread; use `shutdown_async`. Or in a forked child: it is not its worker.
        """
        self._core.departure.stopped()

    async def shutdown_async(self) -> None:
        """As `shutdown`, from any event loop."""
        await self._core.departure.stopped_async()
