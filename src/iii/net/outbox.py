"""What waits to be written to one socket: collected during a loop turn, written at its end in one go (01 §10)."""

from __future__ import annotations

import asyncio
import logging

from iii.net.framing import TEXT_HEADS, text_frames
from iii.protocol.limits import MIB, OUTBOUND_QUEUE_BYTES, OUTBOUND_STALL_S

logger = logging.getLogger(__name__)

_READY_HEADS = len(TEXT_HEADS)
_MESSAGE_OVERHEAD_BYTES = 64  # what a waiting message takes besides its text: tiny ones are not free


class Flusher:
    """Writes the outboxes that got something, once a loop turn for all of them."""

    __slots__ = ("_call_soon", "_filled")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_soon = loop.call_soon
        self._filled: list[Outbox] = []

    def add(self, outbox: Outbox) -> None:
        if not self._filled:
            self._call_soon(self._flush)
        self._filled.append(outbox)

    def _flush(self) -> None:
        filled, self._filled = self._filled, []
        for outbox in filled:
            outbox.flush()


class Outbox:
    """Never blocks and never raises: a reader that is too slow by more than 64 MiB and one message is dropped.

    What the transport cannot take stays here: its own queue pays for each write, however small.
    """

    __slots__ = (
        "_chunks", "_flusher", "_handed_over", "_paused", "_queued", "_room", "_stalled_since", "_taken", "_transport",
        "_write",
    )  # fmt: skip

    def __init__(self, transport: asyncio.Transport, flusher: Flusher) -> None:
        self._transport = transport
        self._write = transport.write
        self._flusher = flusher
        self._chunks: list[bytes | memoryview] = []
        self._queued = 0  # bytes in `_chunks`
        self._room = OUTBOUND_QUEUE_BYTES  # `_queued` above it ends the connection; below 0: closed
        self._paused = False
        self._handed_over = 0  # bytes given to the transport so far
        self._taken = 0  # of them, how many the operating system had taken at the last look
        self._stalled_since: float | None = None

    @property
    def closed(self) -> bool:
        """Whether nothing more is taken."""
        return self._room < 0

    def send(self, message: bytes) -> None:
        """Queue one text message; nothing happens once closed."""
        queued = self._queued
        if queued > self._room:
            self._refuse()
            return
        chunks = self._chunks
        if not chunks:
            self._flusher.add(self)
        size = len(message)
        self._queued = queued + size + _MESSAGE_OVERHEAD_BYTES
        if size < _READY_HEADS:
            chunks.append(TEXT_HEADS[size])
            chunks.append(message)
        else:
            chunks += text_frames(message)

    def send_frame(self, frame: bytes) -> None:
        """Queue a frame that has its head, in order with the messages."""
        if self._queued > self._room:
            self._refuse()
            return
        if not self._chunks:
            self._flusher.add(self)
        self._chunks.append(frame)
        self._queued += len(frame) + _MESSAGE_OVERHEAD_BYTES

    def flush(self) -> None:
        """Hand over what is queued, unless the transport has enough."""
        if not self._paused:
            self._hand_over()

    def pause(self) -> None:
        """The transport has enough for now."""
        self._paused = True
        if not self.closed:
            self._room = max(0, OUTBOUND_QUEUE_BYTES - self._transport.get_write_buffer_size())

    def resume(self) -> None:
        """The transport takes more."""
        self._paused = False
        if not self.closed:
            self._room = OUTBOUND_QUEUE_BYTES
        self._hand_over()

    def close(self, last_frame: bytes = b"") -> None:
        """Hand over everything, then this frame, then nothing more."""
        if self.closed:
            return
        self._chunks.append(last_frame)
        self._hand_over()
        self._room = -1

    def abort(self) -> None:
        """Drop what is queued and end the connection without a Close frame."""
        self.drop()
        self._transport.abort()

    def drop(self) -> None:
        """Forget what is queued and take nothing more."""
        self._room = -1
        self._queued = 0
        self._chunks.clear()

    def clear(self) -> None:
        """Forget what is queued, frames all of them; more may follow."""
        self._queued = 0
        self._chunks.clear()

    def is_stalled(self, now: float) -> bool:
        """Whether, by all looks since 60 s, bytes are waiting and none of them leaves."""
        waiting = self._transport.get_write_buffer_size()
        taken = self._handed_over - waiting
        if not waiting or taken != self._taken or self._stalled_since is None:
            self._taken = taken
            self._stalled_since = now if waiting else None
            return False
        return now - self._stalled_since >= OUTBOUND_STALL_S

    def _hand_over(self) -> None:
        chunks = self._chunks
        if not chunks:
            return
        data = b"".join(chunks)
        chunks.clear()
        self._queued = 0
        self._handed_over += len(data)
        self._write(data)

    def _refuse(self) -> None:
        if self.closed:
            return
        peer = self._transport.get_extra_info("peername")
        logger.warning(
            "Connection from %s ended: it does not read, and %s MiB wait for it",
            peer and peer[0], OUTBOUND_QUEUE_BYTES // MIB,
        )  # fmt: skip
        self.abort()
