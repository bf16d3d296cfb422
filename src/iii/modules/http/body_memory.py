"""How many bytes of JSON bodies are held at once, and which gives way when there is no more room (http M4)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from iii.modules.http.client import BodyTooLarge

if TYPE_CHECKING:
    from iii.modules.http.client import Client


class BodyEvicted(Exception):
    """The memory for bodies is used up: this one gives way (503)."""


class _Reading:
    """One body that is not there as a whole yet."""

    __slots__ = ("bytes", "failure", "task", "until")

    def __init__(self, task: asyncio.Task[Any], until: float) -> None:
        self.task = task
        self.until = until  # the next piece has to be there
        self.bytes = 0
        self.failure: Exception | None = None  # why it was ended from outside


class BodyMemory:
    """Of the unfinished bodies the one that stands still for longest gives way first: slow clients starve no quick one.

    One timer watches all of them: a timer for each body would cost more than most bodies.
    """

    __slots__ = ("_gap_s", "_readings", "_timer", "free_bytes")

    def __init__(self, limit_bytes: int, gap_s: float) -> None:
        """`gap_s`: how long a client may send nothing before its body is whole."""
        self.free_bytes = limit_bytes
        self._gap_s = gap_s
        self._readings: dict[_Reading, None] = {}  # the one that moved last is the last
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, client: Client, limit_bytes: int) -> bytes:
        """A whole body, whose bytes count until `release`.

        Raises:
            BodyTooLarge: it is over the limit.
            BodyEvicted: there is no memory for it.
            TimeoutError: nothing of it came for the time of a gap.
            ClientGone: the client left, or what it sent is not HTTP.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        chunks: list[bytes] = []
        reading = _Reading(task, loop.time() + self._gap_s)
        self._readings[reading] = None
        if self._timer is None:
            self._timer = loop.call_at(reading.until, self._end_overdue)
        try:
            while (chunk := await client.read()) is not None:
                self._hold(reading, len(chunk))
                if reading.bytes > limit_bytes:
                    raise BodyTooLarge
                chunks.append(chunk)
                if client.body_ended:  # most bodies are one piece
                    break
                reading.until = loop.time() + self._gap_s
        except asyncio.CancelledError:
            self._let_go(reading)
            if reading.failure is None or task.uncancel():  # the engine stops
                raise
            raise reading.failure from None
        except BaseException:
            self._let_go(reading)
            raise
        self._readings.pop(reading, None)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def release(self, size: int) -> None:
        """A body of that size is not held any more."""
        self.free_bytes += size

    def _hold(self, reading: _Reading, size: int) -> None:
        """Raises BodyEvicted."""
        del self._readings[reading]
        while self.free_bytes < size and self._readings:
            self._end(next(iter(self._readings)), BodyEvicted())
        if self.free_bytes < size:
            raise BodyEvicted
        self._readings[reading] = None
        reading.bytes += size
        self.free_bytes -= size

    def _end_overdue(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._readings:
            stalest = next(iter(self._readings))
            if stalest.until > now:
                self._timer = loop.call_at(stalest.until, self._end_overdue)
                return
            self._end(stalest, TimeoutError())

    def _end(self, reading: _Reading, failure: Exception) -> None:
        self._let_go(reading)
        reading.failure = failure
        reading.task.cancel()

    def _let_go(self, reading: _Reading) -> None:
        self.free_bytes += reading.bytes
        reading.bytes = 0
        self._readings.pop(reading, None)
