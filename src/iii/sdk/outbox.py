"""What a worker writes: frames at once, or messages in batches that outlive their connection and that threads may write too.

Whoever calls `send`, `send_now` or `flush` of a ThreadOutbox holds the connection's lock: all writes of the socket pass there,
pongs included, so that no two threads ever interleave their bytes. `add` needs none: only the loop takes from the batch.

Of what the loop adds, the text is all there is: nearly all messages are short, and an object for each would cost as much as
its share of a write.
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
    batches,
    client_frame,
    close_payload,
    masked_frames,
)
from iii.net.picows_side import write_masked
from iii.protocol.limits import BATCH_BYTES, UNREAD_DEAF_BYTES
from iii.sdk.backlog import Backlog
from iii.sdk.open_sockets import open_sockets

EARLY_MESSAGES = 32  # so many are written before the turn ends: the engine works on them meanwhile, and each write costs as much as a call
PIECE_BYTES = 262_144  # written at a time: what the transport took cannot be sent on another connection
_FEW_MESSAGES = 256  # are looked at together: of a long backlog only what leaves
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
        batches: whether several messages may leave in one frame (29 §1).
        batch: what this turn of the loop will write, or a later connection; what is nothing but bytes is a short text to be kept.
        written_bytes: by the last write: what may be lost if the engine never reads it.
    """

    def __init__(
        self, transport: asyncio.Transport, backlog: Backlog, call_soon: Callable[[Callable[[], None]], object]
    ) -> None:
        super().__init__(transport)
        self.batches = False
        self.batch: list[Outgoing | bytes] = []
        self.written_bytes = 0
        self._backlog = backlog
        self._lock = backlog.lock
        self._call_soon = call_soon
        self._scheduled = False
        self._deaf = False  # what comes is not read
        self._counted_messages = 0  # the first ones of the batch, which were ahead of a flush and have not left
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

    def add(self, message: bytes, call_id: str | None = None) -> None:
        """As `send`, a text on the loop, and without the lock."""
        if len(message) > MASKED_TOGETHER_BYTES or self.paused or self.closed:
            with self._lock:
                self.send(Outgoing(message, call_id))
                if self._backlog.held_bytes >= PIECE_BYTES:
                    self.flush()
            return
        batch = self.batch
        batch.append(message)
        if not self._scheduled:
            self._schedule()
        elif len(batch) >= EARLY_MESSAGES:
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

    def write_aside(self, message: bytes) -> bool:
        """Write a binary message before all that has gathered. False: this is not the loop, or the engine does not read."""
        if threading.get_ident() != self._thread_id or self.paused or self.closed:
            return False
        with self._lock:
            first = self.batch[0] if self.batch else None
            if isinstance(first, Outgoing) and first.opcode == REST_OF_FRAME:
                return False
            self.written_bytes = len(message)
            write_masked(self._transport, False, message)
        return True

    def send_control(self, opcode: int, payload: bytes = b"") -> None:
        with self._lock:  # in order: a frame may be cut off at this moment
            if not self.closed:
                self.send(Outgoing(payload[:CONTROL_PAYLOAD_BYTES], kept=False, opcode=opcode))

    def flush(self) -> None:
        """Write what has gathered, in pieces, as long as the engine reads. On the loop."""
        if not self.batch or self.closed:
            return
        if not self._counted_messages and not self.paused and self._write_texts(self.batch):
            self.batch = []
            return
        batch = self._counted()
        taken = taken_bytes = 0
        while (
            taken < len(batch) and not self.paused
        ):  # the transport calls `pause_writing` meanwhile, if the engine does not read
            messages = _alike(batch, taken)
            size = sum(map(len, messages))
            self._write(messages, size, batch[taken].opcode)
            taken += len(messages)
            taken_bytes += size
        del batch[:taken]
        self._counted_messages = len(batch)
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
            first = self.batch[0] if self.batch else None
            if isinstance(first, Outgoing) and first.opcode == REST_OF_FRAME:
                self._transport.write(first.message)
            self._close(close_payload(code))

    def drop(self) -> None:
        with self._lock:
            self.closed = True
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

    def _write_texts(self, batch: list[Outgoing | bytes]) -> bool:
        """Whether all of it were short texts, as nearly always, and are written."""
        try:
            frames = batches(batch) if self.batches and len(batch) > 1 else None  # type: ignore[arg-type]
            data = masked_frames(batch) if frames is None else b""  # type: ignore[arg-type]
        except TypeError:  # not all
            return False
        if frames is None:
            self.written_bytes = len(data)
            self._transport.write(data)
        else:
            self._write_batches(frames)
        return True

    def _write_batches(self, texts: list[bytes]) -> None:
        self.written_bytes = sum(map(len, texts))
        for text in texts:
            write_masked(self._transport, True, text)

    def _counted(self) -> list[Outgoing]:
        """The batch, with all that can be said of what waits. What was counted is passed: very many may wait, and each one more comes here."""
        batch = self.batch
        for at in range(self._counted_messages, len(batch)):
            each = batch[at]
            if isinstance(each, bytes):
                batch[at] = Outgoing(each)
                self._backlog.add(len(each))
        return batch  # type: ignore[return-value]

    def _write(self, messages: list[bytes], size: int, opcode: int) -> None:
        if size > MASKED_TOGETHER_BYTES and len(messages) == 1 and opcode != REST_OF_FRAME:
            self.written_bytes = size
            write_masked(self._transport, opcode == TEXT, messages[0])
            return
        if self.batches and opcode == TEXT and len(messages) > 1:
            self._write_batches(batches(messages))
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
    if not start and len(batch) <= _FEW_MESSAGES:  # first: nearly always it is all of them
        messages = [each.message for each in batch]
        together = sum(map(len, messages)) <= BATCH_BYTES and max(map(len, messages)) <= MASKED_TOGETHER_BYTES
        if together and len({each.opcode for each in batch}) == 1:
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
