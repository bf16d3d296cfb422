"""What waits to be written to one socket: collected during a loop turn, written at its end in one go (01 §10, P5)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from iii.net.frames import TEXT_HEADS, batch_frames, close_frame, control_frame, text_frames
from iii.protocol.backpressure import Backpressure
from iii.protocol.limits import (
    BATCH_BYTES,
    DEAF_S,
    MIB,
    OUTBOUND_HIGH_BYTES,
    OUTBOUND_LIMIT_BYTES,
    OUTBOUND_LOW_BYTES,
    OUTBOUND_QUEUE_BYTES,
    OUTBOUND_STALL_S,
    PACE_BYTES_PER_S,
    PACE_HALVED_BYTES,
    SLOW_DOWN_AT_MOST_S,
    SLOW_DOWN_S,
)
from iii.protocol.log_event import LogEvent

WRITE_FAILED = LogEvent(
    __name__, "connection.write_failed", logging.ERROR, "Connection closed: writing to it failed",
    means="The process itself raised, such as without memory; others get what waits for them.",
    do="Look at the memory of the process, or report it with its stack trace.",
)  # fmt: skip
MESSAGES_DROPPED = LogEvent(
    __name__, "connection.messages_dropped", logging.WARNING, "Messages dropped: the peer is not reading fast enough",
    means="So many bytes wait for one client that further calls and events for it are dropped or refused.",
    do="Start more copies of the worker, or send it less.",
)  # fmt: skip

_READY_HEADS = len(TEXT_HEADS)
_CHUNK_BYTES = 32  # what a waiting chunk takes besides its bytes: tiny messages are not free
_SMALL_BYTES = 2 * _CHUNK_BYTES + len(TEXT_HEADS[0])  # of a message with a head of two bytes
_MEDIUM_BYTES = 2 * _CHUNK_BYTES + len(TEXT_HEADS[-1])
_AT_ONCE_BYTES = 1 * MIB  # joined and handed to the transport before asking whether it has enough


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
            try:
                outbox.flush()
            except Exception as error:  # such as MemoryError: what waits for others leaves all the same
                WRITE_FAILED(error)
                outbox.abort()


class Outbox:
    """Never blocks and never raises. Senders learn when much waits; a slow reader is no reason to end a connection.

    What the transport cannot take stays here: its own queue pays for each write, however small.

    Attributes:
        batches: whether the messages of a turn leave together (29 §1).
        handed_over: bytes given to the transport so far.
    """

    __slots__ = (
        "_batch_at", "_batch_bytes", "_chunks", "_flusher", "_moved_at", "_next_at", "_paced", "_queued", "_room", "_stalled_since", "_taken",
        "_transport", "_write", "batches", "handed_over", "paused",
    )  # fmt: skip

    def __init__(self, transport: asyncio.Transport, flusher: Flusher) -> None:
        self._transport = transport
        self._write = transport.write
        self._flusher = flusher
        self._chunks: list[bytes | memoryview] = []
        self.batches = False
        self._batch_at = -1  # where the messages begin that have no heads yet; there may be none
        self._batch_bytes = 0  # of these, each with a line break
        self._queued = 0  # bytes in `_chunks`
        self._room = OUTBOUND_HIGH_BYTES  # `_queued` above it is told to senders; below 0: closed
        self.paused = False  # the transport has enough for now
        self.handed_over = 0
        self._taken = 0  # of them, how many the operating system had taken at the last look
        self._stalled_since: float | None = None
        self._paced = 0  # as `_taken`, when a sender was last told to wait
        self._moved_at = 0.0  # when that was last seen to grow
        self._next_at = 0.0  # when the next message of a sender is welcome

    @property
    def closed(self) -> bool:
        """Whether nothing more is taken."""
        return self._room < 0

    @property
    def waiting_bytes(self) -> int:
        """What waits here; up to 2 MiB more are with the transport."""
        return self._queued

    @property
    def crowded(self) -> bool:
        """Whether so much waits that senders who were told HIGH still are."""
        return self._queued > OUTBOUND_LOW_BYTES

    def send(self, message: bytes, urgent: bool = False) -> Backpressure | None:
        """Queue one text message; nothing happens once closed.

        Args:
            urgent: an answer or a registration, which others rely on; up to twice as many of its bytes may wait.

        Returns:
            None nearly always. HIGH from 8 MiB that wait until fewer than 4 MiB do. FULL, and the message is dropped,
            at 64 MiB.
        """
        queued = self._queued
        size = len(message)
        if size >= _READY_HEADS or queued > self._room:
            return self.send_parts([message], urgent)
        chunks = self._chunks
        if not chunks:
            self._flusher.add(self)
        if self.batches:
            if self._batch_at < 0 or self._batch_bytes + size >= BATCH_BYTES:
                queued += self._end_batch()
                self._batch_at, self._batch_bytes = len(chunks), 0
            chunks.append(message)
            self._batch_bytes += size + 1
            self._queued = queued + size + _CHUNK_BYTES
            return None
        chunks.append(TEXT_HEADS[size])
        chunks.append(message)
        self._queued = queued + size + (_SMALL_BYTES if size < 126 else _MEDIUM_BYTES)
        return None

    def send_parts(self, parts: Sequence[bytes | memoryview], urgent: bool = False) -> Backpressure | None:
        """As `send`, for a message in pieces."""
        backlog = None
        if self._queued > self._room:
            backlog = self._crowded(OUTBOUND_LIMIT_BYTES if urgent else OUTBOUND_QUEUE_BYTES)
            if backlog is not Backpressure.HIGH:
                return backlog
        self._queued += self._end_batch()
        if not self._chunks:
            self._flusher.add(self)
        frames = text_frames(*parts)
        self._chunks += frames
        self._queued += _taking(frames)
        return backlog

    def pace(self, size: int, now: float) -> float:
        """Seconds for which whoever sent so much is to wait, while there is too much.

        The more waits, the slower it goes, whoever and however many send: so a peer that reads at all gets everything. One that
        takes nothing would not be helped; what else its senders have to say is only kept back for as long as it must be.
        """
        taken = self.handed_over - self._transport.get_write_buffer_size()
        if taken != self._paced:
            self._paced, self._moved_at = taken, now
        if now - self._moved_at > DEAF_S:
            return SLOW_DOWN_S
        slower = 2 ** (max(self._queued - OUTBOUND_LOW_BYTES, 0) / PACE_HALVED_BYTES)
        self._next_at = max(self._next_at, now) + size / PACE_BYTES_PER_S * slower  # one sender after the other
        self._next_at = min(self._next_at, now + SLOW_DOWN_AT_MOST_S)
        return max(self._next_at - now, SLOW_DOWN_S)

    def send_frame(self, frame: bytes | memoryview) -> None:
        """Queue a frame that has its head, in order with the messages. Whoever sends many looks at `paused`."""
        if self._room < 0:
            return
        self._queued += self._end_batch()
        if not self._chunks:
            self._flusher.add(self)
        self._chunks.append(frame)
        self._queued += len(frame) + _CHUNK_BYTES

    def send_control(self, opcode: int, payload: bytes = b"") -> None:
        self.send_frame(control_frame(opcode, payload))

    def flush(self) -> None:
        """Hand over what is queued, unless the transport has enough."""
        if self.paused:
            return
        self._queued += self._end_batch()
        if self._queued <= _AT_ONCE_BYTES:
            self._hand_over()
        else:
            self._hand_over_in_parts()

    def pause(self) -> None:
        """The transport has enough for now."""
        self.paused = True

    def resume(self) -> None:
        """The transport takes more."""
        self.paused = False
        self.flush()
        if self._room >= 0 and self._queued <= OUTBOUND_LOW_BYTES:
            self._room = OUTBOUND_HIGH_BYTES

    def close(self, code: int | None, reason: str = "") -> None:
        """Hand over everything, then Close, then nothing more."""
        if self.closed:
            return
        self._end_batch()
        self._chunks.append(close_frame(code, reason))
        self._hand_over()
        self._room = -1

    def answer_close(self, code: int | None) -> None:
        self.close(code)

    def abort(self) -> None:
        """Drop what is queued and end the connection without a Close frame."""
        self.drop()
        self._transport.abort()

    def drop(self) -> None:
        """Forget what is queued and take nothing more."""
        self._room = -1
        self.clear()

    def clear(self) -> None:
        """Forget what is queued, frames all of them; more may follow."""
        self._queued = 0
        self._batch_at = -1
        self._chunks.clear()

    def is_stalled(self, now: float) -> bool:
        """Whether, by all looks since 60 s, bytes are waiting and none of them leaves."""
        waiting = self._transport.get_write_buffer_size()
        taken = self.handed_over - waiting
        if not waiting or taken != self._taken or self._stalled_since is None:
            self._taken = taken
            self._stalled_since = now if waiting else None
            return False
        return now - self._stalled_since >= OUTBOUND_STALL_S

    def _end_batch(self) -> int:
        """What follows stands in frames of its own. Returns how many bytes more are queued, with the heads."""
        at = self._batch_at
        if at < 0:
            return 0
        self._batch_at = -1
        messages = self._chunks[at:]
        del self._chunks[at:]
        frames = batch_frames(messages, self._batch_bytes)
        self._chunks += frames
        return _taking(frames) - _taking(messages)

    def _hand_over(self) -> None:
        chunks = self._chunks
        if not chunks:
            return
        data = b"".join(chunks)
        chunks.clear()
        self._queued = 0
        self.handed_over += len(data)
        self._write(data)

    def _hand_over_in_parts(self) -> None:
        """Little at a time: to join everything would stop the loop, and hide from senders what waits."""
        chunks = self._chunks
        begin = 0
        while begin < len(chunks) and not self.paused:
            end, size = begin, 0
            while end < len(chunks) and size < _AT_ONCE_BYTES:
                size += len(chunks[end])
                end += 1
            part = chunks[begin:end]
            begin = end
            self._queued -= _taking(part)
            self.handed_over += size
            self._write(b"".join(part))
        del chunks[:begin]

    def _crowded(self, limit: int) -> Backpressure | None:
        """What to tell a sender; None once closed."""
        if self.closed:
            return None
        if self._queued > limit:
            peer = self._transport.get_extra_info("peername")
            MESSAGES_DROPPED(ip_address=peer and peer[0], limit_bytes=limit)
            return Backpressure.FULL
        self._room = OUTBOUND_LOW_BYTES
        return Backpressure.HIGH


def _taking(chunks: Sequence[bytes | memoryview]) -> int:
    """Bytes that these take while they wait."""
    return sum(map(len, chunks)) + _CHUNK_BYTES * len(chunks)
