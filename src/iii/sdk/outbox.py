"""What a worker writes: frames at once, or messages in batches that outlive their connection and that threads may write too.

Whoever calls `send`, `send_now` or `flush` of a ThreadOutbox holds the connection's lock: all writes of the socket pass there,
pongs included, so that no two threads ever interleave their bytes. `add` needs none: only the loop takes from the batch.
"""

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from itertools import islice

from msgspec import Struct

from iii.net.frames import (
    CLOSE,
    CONTROL_PAYLOAD_BYTES,
    FRAMED_BYTES,
    MASKED_TOGETHER_BYTES,
    TEXT,
    client_frame,
    close_payload,
    masked_frames,
)
from iii.net.picows_side import write_masked
from iii.protocol.limits import UNREAD_DEAF_BYTES
from iii.sdk.backlog import Backlog
from iii.sdk.open_sockets import open_sockets

EARLY_MESSAGES = 32  # so many are written before the turn ends: the engine works on them meanwhile, and each write costs as much as a call
PIECE_BYTES = 262_144  # written at a time: what the transport took cannot be sent on another connection
REST_OF_FRAME = 0x10  # not an opcode of WebSocket: what a full socket cut off a frame


class Outgoing(Struct, gc=False):
    """One message on its way out.

    Attributes:
        call_id: of the call that it makes: if nobody waits for that any more, a kept message is not sent late.
        kept: whether it waits for the next connection when this one ends; registrations don't, they are replayed.
    """

    message: bytes
    call_id: str | None = None
    kept: bool = True
    opcode: int = TEXT


class DirectOutbox:
    """Writes everything at once, on the loop. Whoever sends much looks at `paused`."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.paused = False
        self.closed = False
        self._transport = transport

    def write(self, message: bytes, opcode: int) -> None:
        if not self.closed:
            write_masked(self._transport, opcode == TEXT, message)

    def send_control(self, opcode: int, payload: bytes = b"") -> None:
        if not self.closed:
            self._transport.write(client_frame(payload[:CONTROL_PAYLOAD_BYTES], opcode))

    def close(self, code: int, reason: str = "") -> None:
        self._close(close_payload(code, reason))

    def answer_close(self, code: int | None) -> None:
        self._close(close_payload(code))

    def _close(self, payload: bytes) -> None:
        DirectOutbox.send_control(self, CLOSE, payload)
        self.closed = True

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def drop(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.drop()
        self._transport.abort()


class ThreadOutbox(DirectOutbox):
    """Collects the messages of a turn of the loop; `send_now` lets a thread write for itself and spares the call a wake-up.

    Attributes:
        batch: what this turn of the loop will write, or a later connection.
        written_bytes: by the last write: what may be lost if the engine never reads it.
    """

    def __init__(
        self, transport: asyncio.Transport, backlog: Backlog, call_soon: Callable[[Callable[[], None]], object]
    ) -> None:
        super().__init__(transport)
        self.batch: list[Outgoing] = []
        self.written_bytes = 0
        self._backlog = backlog
        self._lock = backlog.lock
        self._call_soon = call_soon
        self._scheduled = False
        self._uncounted_bytes = 0  # of what the loop added since it last flushed
        self._deaf = False  # what comes is not read
        self._thread_id = threading.get_ident()
        self._own_socket = _own_socket(transport)
        # Paused means from now on: something is ahead, so no thread may write, and what comes can still be sent elsewhere
        # With TLS (no thread writes there) the standard library pauses at 0 bytes too, and then nothing resumes it
        transport.set_write_buffer_limits(high=0 if self._own_socket is not None else 1)

    def send(self, outgoing: Outgoing) -> None:
        """Leave with everything else of this turn. On the loop, or from a thread that can wait for the loop."""
        self.batch.append(outgoing)
        self._backlog.add(len(outgoing.message))
        if not self._scheduled:
            self._schedule()
        elif len(self.batch) >= EARLY_MESSAGES and threading.get_ident() == self._thread_id:
            self.flush()

    def add(self, outgoing: Outgoing) -> None:
        """As `send`, on the loop and without the lock."""
        if self.paused or self.closed:
            with self._lock:
                self.send(outgoing)
            return
        batch = self.batch
        batch.append(outgoing)
        self._uncounted_bytes += len(outgoing.message)
        if not self._scheduled:
            self._schedule()
        elif len(batch) >= EARLY_MESSAGES or self._uncounted_bytes >= PIECE_BYTES:
            with self._lock:
                self.flush()

    def send_now(self, outgoing: Outgoing) -> bool:
        """Write from this thread, if nothing is ahead of it; False leaves it to `send`."""
        if self._own_socket is None or self.batch or len(outgoing.message) > FRAMED_BYTES or self.closed or self.paused:
            return False
        frame = client_frame(outgoing.message, outgoing.opcode)
        try:
            written = self._own_socket.send(frame)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return False  # the loop is about to notice; then the message waits for the next connection
        if written < len(frame):
            rest = Outgoing(frame[written:], kept=False, opcode=REST_OF_FRAME)
            self.batch.insert(0, rest)  # before what the loop has added meanwhile
            self._backlog.add(len(rest.message))
            self._schedule()
        return True

    def send_control(self, opcode: int, payload: bytes = b"") -> None:
        with self._lock:  # in order: a frame may be cut off at this moment
            if not self.closed:
                self.send(Outgoing(payload[:CONTROL_PAYLOAD_BYTES], kept=False, opcode=opcode))

    def flush(self) -> None:
        """Write what has gathered, in pieces, as long as the engine reads. On the loop."""
        if self._uncounted_bytes:
            self._backlog.add(self._uncounted_bytes)
            self._uncounted_bytes = 0
        if not self.batch or self.closed or self.paused:
            return
        batch = self.batch
        taken = taken_bytes = 0
        while (
            taken < len(batch) and not self.paused
        ):  # the transport calls `pause_writing` meanwhile, if the engine does not read
            messages = _alike(batch, taken)
            size = sum(map(len, messages))
            self._write(messages, size, batch[taken].opcode)
            taken += len(messages)
            taken_bytes += size
        if taken == len(batch):
            self.batch = []
        else:
            del batch[:taken]
        self._backlog.remove(taken_bytes)

    def resume(self) -> None:
        self.paused = False
        self.written_bytes = 0
        self._flush_scheduled()

    def close(self, code: int, reason: str = "") -> None:
        with self._lock:
            while self.batch and not self.closed:
                self.paused = False  # the transport keeps the order, and sends it before it closes
                self.flush()
            self._close(close_payload(code, reason))

    def answer_close(self, code: int | None) -> None:
        """What has gathered waits for the next connection: the engine reads nothing after its Close."""
        with self._lock:
            if self.batch and self.batch[0].opcode == REST_OF_FRAME:
                self._transport.write(self.batch[0].message)
            self._close(close_payload(code))

    def drop(self) -> None:
        with self._lock:
            self.closed = True
            self._uncounted_bytes = 0  # nothing of this socket waits any more
            if self._own_socket is not None:
                self._own_socket.close()
                self._own_socket = None

    def end_after_fork(self, backlog: Backlog) -> None:
        """In a forked child, whose copies of the descriptors are closed already."""
        self.closed = True
        self._backlog = backlog
        self._lock = backlog.lock
        self.batch = []

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self._flush_scheduled)

    def _flush_scheduled(self) -> None:
        with self._lock:
            self._scheduled = False
            self.flush()
            self._read_or_not()

    def _write(self, messages: list[bytes], size: int, opcode: int) -> None:
        if size > MASKED_TOGETHER_BYTES and len(messages) == 1 and opcode != REST_OF_FRAME:
            self.written_bytes = size
            write_masked(self._transport, opcode == TEXT, messages[0])
            return
        data = messages[0] if opcode == REST_OF_FRAME else masked_frames(messages, opcode)
        self.written_bytes = len(data)
        self._transport.write(data)

    def _read_or_not(self) -> None:
        """Answers are never refused; instead no more calls are read while very many answers wait."""
        deaf = self.paused and self._backlog.held_bytes > UNREAD_DEAF_BYTES
        if deaf != self._deaf and not self.closed:
            self._deaf = deaf
            self._transport.pause_reading() if deaf else self._transport.resume_reading()


def _alike(batch: list[Outgoing], start: int) -> list[bytes]:
    """Messages that are written in one go: of one kind, of one piece together; or a large one."""
    if not start:  # first: nearly always it is all of them
        messages = [each.message for each in batch]
        if sum(map(len, messages)) <= MASKED_TOGETHER_BYTES and len({each.opcode for each in batch}) == 1:
            return messages
    opcode, messages, size = batch[start].opcode, [], 0
    for outgoing in islice(batch, start, None):
        message = outgoing.message
        if outgoing.opcode != opcode or size >= PIECE_BYTES or (messages and len(message) > MASKED_TOGETHER_BYTES):
            break
        messages.append(message)
        size += len(message)
        if len(message) > MASKED_TOGETHER_BYTES or opcode == REST_OF_FRAME:
            break
    return messages


def _own_socket(transport: asyncio.Transport) -> socket.socket | None:
    """For threads, its own descriptor: the transport may close its one while a thread is writing. None with TLS."""
    if os.name != "posix" or transport.get_extra_info("sslcontext") is not None:
        return None
    own = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
    own.setblocking(False)
    open_sockets.add(own)
    return own
