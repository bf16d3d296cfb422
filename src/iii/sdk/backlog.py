"""What waits for an engine that does not read, in bytes, and whoever wants to add to it (P5, P6, core finding 16)."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from iii.protocol.limits import UNREAD_HIGH_BYTES, UNREAD_LOW_BYTES


class Backlog:
    """The messages of one connection that its socket has not taken yet. All but waiting happens under its lock.

    Attributes:
        lock: the connection's.
        held_bytes: what waits.
        crowded: further calls wait until less does; answers and registrations are taken in any case.
    """

    def __init__(self, high_bytes: int = UNREAD_HIGH_BYTES, low_bytes: int = UNREAD_LOW_BYTES) -> None:
        self.lock = threading.RLock()
        self.held_bytes = 0
        self.crowded = False
        self._high_bytes = high_bytes
        self._low_bytes = low_bytes
        self._relieved = threading.Condition(self.lock)
        self._callbacks: set[Callable[[], None]] = set()

    def add(self, size_bytes: int) -> None:
        self.held_bytes += size_bytes
        if self.held_bytes > self._high_bytes:
            self.crowded = True

    def remove(self, size_bytes: int) -> None:
        self.held_bytes -= size_bytes
        if self.crowded and self.held_bytes <= self._low_bytes:
            self._relieve()

    def clear(self) -> None:
        """The socket has ended; what waits is kept elsewhere."""
        self.held_bytes = 0
        if self.crowded:
            self._relieve()

    def _relieve(self) -> None:
        self.crowded = False
        self._relieved.notify_all()
        for callback in self._callbacks:
            callback()
        self._callbacks.clear()

    def wait(self, timeout_s: float) -> bool:
        """Block this thread, which must not be the connection's loop; False if the time was over first."""
        with self._relieved:
            return self._relieved.wait_for(lambda: not self.crowded, timeout_s)

    async def wait_async(self, timeout_s: float) -> bool:
        """As `wait`, on any loop."""
        loop = asyncio.get_running_loop()
        relieved = asyncio.Event()

        def tell() -> None:
            with suppress(RuntimeError):  # that loop is closed
                loop.call_soon_threadsafe(relieved.set)

        with self._relieved:
            if not self.crowded:
                return True
            self._callbacks.add(tell)
        try:
            async with asyncio.timeout(timeout_s):
                await relieved.wait()
        except TimeoutError:
            return False
        finally:
            with self._relieved:
                self._callbacks.discard(tell)
        return True
