"""The body of a request on its way into the request channel (03 §A5.1)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from iii.modules.http.client import BodyTooLarge, Client, ClientGone
from iii.modules.http.wakeup import Wakeup

if TYPE_CHECKING:
    import asyncio

    from iii.engine.channels import Channel

PIECE_BYTES = 64 * 1024  # old Python clients hang up above 1 MiB (03 §A5.1)


class RequestBody:
    """The writing end of the request channel.

    `told` is called when one of these changes:

    Attributes:
        moved_at: when some of it was handed on last, the end included, by the loop's clock; nobody is told.
        awaits_client: it is the client that does not send on, not the function that does not read.
        at_end: all of it was read.
        too_large: it is over the limit; the rest is dropped.
    """

    __slots__ = (
        "_channel", "_client", "_discards", "_loop", "_told", "_wakeup", "at_end", "awaits_client", "moved_at", "too_large",
    )  # fmt: skip

    def __init__(
        self, channel: Channel, client: Client, loop: asyncio.AbstractEventLoop, told: Callable[[], None]
    ) -> None:
        self._channel = channel
        self._client = client
        self._wakeup = Wakeup(loop)
        self._told = told
        self._loop = loop
        self._discards = False
        self.moved_at = -math.inf
        self.at_end = False
        self.awaits_client = False
        self.too_large = False
        channel.claim_writer(self)

    def put_whole(self, content: bytes) -> None:
        """A body that was read already, none included; the end follows it."""
        for start in range(0, len(content), PIECE_BYTES):
            self._channel.put(content[start : start + PIECE_BYTES])
        self._channel.finish()
        self.at_end = True

    def discard(self) -> None:
        """Nobody wants the rest: read it and drop it."""
        self._discards = True
        self._wakeup.wake()

    async def carry(self) -> None:
        """Read the body as fast as the channel's reader takes it. Raises ClientGone."""
        try:
            while (chunk := await self._next()) is not None:
                if self._discards:
                    continue
                for start in range(0, len(chunk), PIECE_BYTES):
                    self._channel.put(chunk[start : start + PIECE_BYTES])
                while self._channel.crowded and not self._discards:
                    await self._wakeup.wait()
                self.moved_at = self._loop.time()
        except BodyTooLarge:
            self.too_large = True
            self._channel.finish(aborted=True)
            self._told()
            await self._client.drain()
            self.at_end = True
            self._told()
        except ClientGone:
            self._channel.finish(aborted=True)
            raise
        else:
            self._channel.finish()
            self.at_end = True
            self.moved_at = self._loop.time()
            self._told()

    async def _next(self) -> bytes | None:
        """Raises ClientGone, BodyTooLarge."""
        self.awaits_client = True
        try:
            return await self._client.read()
        finally:
            self.awaits_client = False

    # -- as the writer of the channel -----------------------------------------------------------------------------

    def writable(self) -> None:
        self._wakeup.wake()

    def reader_gone(self) -> None:
        self._wakeup.wake()

    def expired(self) -> None:
        self._wakeup.wake()
