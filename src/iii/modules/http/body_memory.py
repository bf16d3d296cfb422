"""How many bytes of JSON bodies are held at once, and which gives way when there is no more room (http M4)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from iii.modules.http.client import BodyTooLarge

if TYPE_CHECKING:
    from iii.modules.http.client import Client


class BodyEvicted(Exception):
    """The memory for bodies is used up: this one gives way (503)."""


class _Reading:
    """One body that is not there as a whole yet."""

    __slots__ = ("bytes", "evicted", "timeout")

    def __init__(self, timeout: asyncio.Timeout) -> None:
        self.timeout = timeout
        self.bytes = 0
        self.evicted = False


class BodyMemory:
    """Of the unfinished bodies the one that stands still for longest gives way first: slow clients starve no quick one."""

    __slots__ = ("_readings", "free_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.free_bytes = limit_bytes
        self._readings: dict[_Reading, None] = {}  # the one that moved last is the last

    async def read(self, client: Client, limit_bytes: int, gap_s: float) -> bytes:
        """A whole body, whose bytes count until `release`.

        Raises:
            BodyTooLarge: it is over the limit.
            BodyEvicted: there is no memory for it.
            TimeoutError: nothing of it came for `gap_s`.
            ClientGone: the client left, or what it sent is not HTTP.
        """
        chunks: list[bytes] = []
        timeout = asyncio.timeout(gap_s)
        reading = _Reading(timeout)
        try:
            async with timeout:
                while (chunk := await client.read()) is not None:
                    self._hold(reading, len(chunk))
                    if reading.bytes > limit_bytes:
                        raise BodyTooLarge
                    chunks.append(chunk)
                    if client.body_ended:  # most bodies are one piece
                        break
                    timeout.reschedule(asyncio.get_running_loop().time() + gap_s)
        except TimeoutError:
            self._let_go(reading)
            if reading.evicted:
                raise BodyEvicted from None
            raise
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
        self._readings.pop(reading, None)
        while self.free_bytes < size and self._readings:
            stalest = next(iter(self._readings))
            self._let_go(stalest)
            stalest.evicted = True
            stalest.timeout.reschedule(0)
        if reading.evicted or self.free_bytes < size:
            raise BodyEvicted
        self._readings[reading] = None
        reading.bytes += size
        self.free_bytes -= size

    def _let_go(self, reading: _Reading) -> None:
        self.free_bytes += reading.bytes
        reading.bytes = 0
        self._readings.pop(reading, None)
