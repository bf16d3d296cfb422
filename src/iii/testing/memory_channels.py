"""The ends of channels that workers of this process have: between the engine's event loop and theirs, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from iii.net.frames import TEXT
from iii.protocol.close_codes import CloseCode

if TYPE_CHECKING:
    from iii.engine.channel_refs import Direction
    from iii.engine.channels import Channel, Channels
    from iii.sdk.in_process import ChannelHandler

_DIRECTIONS: dict[str, Direction] = {"read": "read", "write": "write"}


class MemoryChannelEnd:
    """One end: for the engine a writer or a reader, for the worker its connection, with its outbox and inbox in one.

    Attributes:
        paused: whether the worker is to write no more for now.
    """

    def __init__(
        self,
        engine_loop: asyncio.AbstractEventLoop,
        worker_loop: asyncio.AbstractEventLoop,
        channel: Channel,
        handler: ChannelHandler,
    ) -> None:
        self.outbox = self.inbox = self
        self.paused = False
        self._engine_loop = engine_loop
        self._worker_loop = worker_loop
        self._channel = channel
        self._handler = handler
        self._reads = True
        self._over = False

    # -- the worker's side: its connection ------------------------------------------------------------------------

    def write(self, message: bytes, opcode: int) -> None:
        self._in_engine(partial(self._put, bytes(message), opcode == TEXT))

    def pause(self) -> None:
        self._reads = False

    def resume(self) -> None:
        self._reads = True
        self._in_engine(self.readable)

    def close(self, code: int, reason: str = "", wait_s: float = 0.0) -> None:
        self._in_engine(partial(self._ended, aborted=False))

    def leave(self, code: int, wait_s: float = 0.0) -> None:
        self.close(code)

    def abort(self) -> None:
        self._in_engine(partial(self._ended, aborted=True))

    # -- the engine's side: a writer or a reader ------------------------------------------------------------------

    def claim(self, direction: Direction) -> None:
        """Take the end, or tell the worker that it is taken."""
        claim = self._channel.claim_writer if direction == "write" else self._channel.claim_reader
        if not claim(self):
            self._finish(CloseCode.NORMAL, "already_taken")
        elif direction == "read":
            self.readable()

    def writable(self) -> None:
        self.paused = False
        self._in_worker(self._handler.resumed)

    def reader_gone(self) -> None:
        self._finish(CloseCode.GOING_AWAY, "reader_gone")

    def expired(self) -> None:
        self._finish(CloseCode.INTERNAL_ERROR, "expired")

    def readable(self) -> None:
        channel = self._channel
        while self._reads and not self._over and (item := channel.take()) is not None:
            self._in_worker(partial(self._handler.text if item.is_text else self._handler.binary, item.data))
        if channel.at_end and channel.aborted:
            self._finish(CloseCode.INTERNAL_ERROR, "writer_aborted")
        elif channel.at_end:
            self._finish(CloseCode.NORMAL, "end_of_stream")

    def _put(self, data: bytes, is_text: bool) -> None:
        self._channel.put(data, is_text)
        if self._channel.full:
            self.paused = True

    def _ended(self, aborted: bool) -> None:
        channel = self._channel
        if channel.writer is self:
            channel.finish(aborted)
        elif channel.reader is self:
            channel.leave()
        self._gone()

    def _finish(self, code: CloseCode, reason: str) -> None:
        if not self._over:
            self._in_worker(partial(self._handler.peer_closed, code, reason))
            self._ended(aborted=False)

    def _gone(self) -> None:
        if not self._over:
            self._over = True
            self._in_worker(self._handler.gone)

    # -- from one loop to the other -------------------------------------------------------------------------------

    def _in_engine(self, deed: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed: the engine has ended
            self._engine_loop.call_soon_threadsafe(deed)

    def _in_worker(self, deed: Callable[[], object]) -> None:
        with suppress(RuntimeError):
            self._worker_loop.call_soon_threadsafe(deed)


async def open_end(
    engine_loop: asyncio.AbstractEventLoop,
    channels: Callable[[], Channels],
    channel_id: str,
    access_key: str,
    direction: str,
    handler: ChannelHandler,
) -> MemoryChannelEnd | None:
    """For a worker on the running loop; None: there is no such channel."""
    worker_loop = asyncio.get_running_loop()
    opened: asyncio.Future[MemoryChannelEnd | None] = worker_loop.create_future()

    def tell(end: MemoryChannelEnd | None) -> None:
        if not opened.done():
            opened.set_result(end)

    def find() -> None:
        wanted = _DIRECTIONS.get(direction)
        channel = None if wanted is None else channels().find(channel_id, access_key, wanted)
        end = None if channel is None else MemoryChannelEnd(engine_loop, worker_loop, channel, handler)
        worker_loop.call_soon_threadsafe(tell, end)
        if end is not None and wanted is not None:
            end.claim(wanted)

    engine_loop.call_soon_threadsafe(find)
    return await opened
