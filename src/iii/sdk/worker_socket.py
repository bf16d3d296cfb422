"""One WebSocket to the engine: messages in, coalesced messages out, and whether the other end still lives.

Everything here runs on the loop, except `send_now`, which lets a thread write for itself and spares the call a wake-up
of the loop. Whoever calls `send`, `send_now` or `flush` holds the connection's lock: all writes of the socket pass there,
pongs included, so that no two threads ever interleave their bytes.
"""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable

from msgspec import Struct
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from iii.protocol.close_codes import CloseCode
from iii.protocol.limits import (
    FRAGMENT_BYTES,
    INBOUND_MESSAGE_BYTES,
    PING_INTERVAL_S,
    SILENCE_S,
    UNREAD_DEAF_BYTES,
)
from iii.sdk.backlog import Backlog
from iii.sdk.framing import BINARY, FRAMED_BYTES, TEXT, Masking, client_frame
from iii.sdk.outgoing import open_sockets

logger = logging.getLogger("iii.sdk")

SILENT_PINGS = int(SILENCE_S // PING_INTERVAL_S)
EARLY_MESSAGES = 16  # so many are written before the turn ends: the engine works on them meanwhile
_TEXT = WSMsgType.TEXT
PIECE_BYTES = 262_144  # written at a time: what the transport took cannot be sent on another connection
REST_OF_FRAME = 0x10  # not an opcode of WebSocket: what a full socket cut off a frame


class Outgoing(Struct, gc=False):
    """One message on its way out.

    Attributes:
        wanted: asked before a kept message is sent late; None for always.
        kept: whether it waits for the next connection when this one ends; registrations don't, they are replayed.
    """

    message: bytes
    wanted: Callable[[], bool] | None = None
    kept: bool = True
    opcode: int = TEXT


class WorkerSocket(WSListener):
    """The client's end.

    Attributes:
        batch: what this turn of the loop will write.
        gone: set when it has ended.
    """

    def __init__(
        self,
        connected: Callable[["WorkerSocket"], None],
        received: Callable[[bytes], None],
        disconnected: Callable[["WorkerSocket", int | None, str | None], None],
        backlog: Backlog,
        call_soon: Callable[[Callable[[], None]], object],
    ) -> None:
        self.connected = connected
        self.received = received
        self.disconnected = disconnected
        self.backlog = backlog
        self.lock = backlog.lock
        self.call_soon = call_soon
        self.batch: list[Outgoing] = []
        self.scheduled = False
        self.open = False
        self.abandoned = False
        self.gone = asyncio.Event()
        self.paused = False
        self.heard = False
        self.heard_before = False
        self.silent_pings = 0
        self.farewell: tuple[int | None, str | None] = (None, None)
        self.fragments: list[bytes] = []
        self.fragments_bytes = 0
        self.transport: WSTransport | None = None
        self.thread_id = 0
        self.own_socket: socket.socket | None = None
        self.written_bytes = 0  # by the last write: what may be lost if the engine never reads it
        self.deaf = False  # what comes is not read

    # -- in -------------------------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        if self.abandoned:
            transport.disconnect(graceful=False)
            return
        self.thread_id = threading.get_ident()
        if os.name == "posix" and not transport.is_secure:
            # Its own descriptor: the transport may close its one while a thread is writing
            descriptor = os.dup(transport.underlying_transport.get_extra_info("socket").fileno())
            self.own_socket = socket.socket(fileno=descriptor)
            self.own_socket.setblocking(False)
            open_sockets.add(self.own_socket)
        # Paused means from now on: something is ahead, so no thread may write, and what comes can still be sent elsewhere
        transport.underlying_transport.set_write_buffer_limits(high=0)
        self.open = True
        self.connected(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.heard = True
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.close(CloseCode.PROTOCOL_ERROR)  # no extension was negotiated (RFC 6455 §5.2)
            return
        kind = frame.msg_type
        if kind is _TEXT and frame.fin and not self.fragments:  # first: nearly all traffic
            self.received(frame.get_payload_as_bytes())
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._collect(transport, frame)
        elif kind == WSMsgType.PING:
            with self.lock:
                transport.send_pong(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            self.farewell = (int(frame.get_close_code().value), frame.get_close_reason())
            with self.lock:
                transport.send_close(frame.get_close_code(), None)
            transport.disconnect()

    def _collect(self, transport: WSTransport, frame: WSFrame) -> None:
        self.fragments_bytes += frame.payload_size
        if self.fragments_bytes > INBOUND_MESSAGE_BYTES:
            self.fragments.clear()
            self.close(CloseCode.MESSAGE_TOO_BIG)
            return
        self.fragments.append(frame.get_payload_as_bytes())
        if frame.fin:
            message = b"".join(self.fragments)
            self.fragments.clear()
            self.fragments_bytes = 0
            self.received(message)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self.abandoned and not self.open:
            return
        with self.lock:
            self.open = False
            if self.own_socket is not None:
                self.own_socket.close()
                self.own_socket = None
        if self.paused and self.written_bytes:  # all else of what waits is kept for the next connection
            logger.warning("Connection lost while the engine was not reading: up to %d bytes lost", self.written_bytes)
        self.disconnected(self, *self.farewell)

    def pause_writing(self) -> None:
        """The engine reads too slowly; what is not written yet can still be sent on another connection."""
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.written_bytes = 0
        self._flush_scheduled()

    # -- out ------------------------------------------------------------------------------------------------------

    def send(self, outgoing: Outgoing) -> None:
        """Leave with everything else of this turn. On the loop, or from a thread that can wait for the loop."""
        self.batch.append(outgoing)
        self.backlog.add(len(outgoing.message))
        if not self.scheduled:
            self.scheduled = True
            self.call_soon(self._flush_scheduled)
        elif len(self.batch) >= EARLY_MESSAGES and threading.get_ident() == self.thread_id:
            self.flush()

    def send_now(self, outgoing: Outgoing) -> bool:
        """Write from this thread, if nothing is ahead of it; False leaves it to `send`."""
        if (
            self.own_socket is None
            or self.batch
            or len(outgoing.message) > FRAMED_BYTES
            or not self.open
            or self.paused
        ):
            return False
        frame = client_frame(outgoing.message, outgoing.opcode)
        try:
            written = self.own_socket.send(frame)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return False  # the loop is about to notice; then the message waits for the next connection
        if written < len(frame):
            self.send(Outgoing(frame[written:], kept=False, opcode=REST_OF_FRAME))
        return True

    def _flush_scheduled(self) -> None:
        with self.lock:
            self.scheduled = False
            self.flush()
            self._read_or_not()

    def flush(self) -> None:
        """Write what has gathered, in pieces, as long as the engine reads. On the loop."""
        if not self.batch or not self.open or self.paused or self.transport is None:
            return
        frames: list[bytes] = []
        masking = Masking()
        taken = taken_bytes = gathered_bytes = 0
        for outgoing in self.batch:
            size = len(outgoing.message)
            taken += 1
            taken_bytes += size
            if outgoing.opcode == REST_OF_FRAME:
                frames.append(outgoing.message)
            elif size <= FRAMED_BYTES:
                masking.add_frame(frames, outgoing.message, outgoing.opcode)
            else:
                self._write(frames)
                self._write_large(self.transport, outgoing)
                frames, gathered_bytes = [], PIECE_BYTES
            gathered_bytes += size
            if gathered_bytes >= PIECE_BYTES:
                if not self._write(frames):
                    break
                frames, gathered_bytes, masking = [], 0, Masking()
        else:
            self._write(frames)
        if taken == len(self.batch):
            self.batch = []
        else:
            del self.batch[:taken]
        self.backlog.remove(taken_bytes)

    def _write(self, frames: list[bytes]) -> bool:
        """Whether the engine reads on: the transport calls `pause_writing` meanwhile, if it does not."""
        if frames and self.transport is not None:
            data = b"".join(frames)
            self.written_bytes = len(data)
            self.transport.underlying_transport.write(data)
        return not self.paused

    def _read_or_not(self) -> None:
        """Answers are never refused; instead no more calls are read while very many answers wait."""
        deaf = self.paused and self.backlog.held_bytes > UNREAD_DEAF_BYTES
        if deaf != self.deaf and self.transport is not None and self.open:
            self.deaf = deaf
            underlying = self.transport.underlying_transport
            underlying.pause_reading() if deaf else underlying.resume_reading()

    def _write_large(self, transport: WSTransport, outgoing: Outgoing) -> None:
        message = memoryview(outgoing.message)
        self.written_bytes = len(message)
        kind = WSMsgType.BINARY if outgoing.opcode == BINARY else WSMsgType.TEXT
        for start in range(0, len(message), FRAGMENT_BYTES):
            fragment = message[start : start + FRAGMENT_BYTES]
            transport.send(kind, fragment, fin=start + FRAGMENT_BYTES >= len(message))
            kind = WSMsgType.CONTINUATION

    # -- life -----------------------------------------------------------------------------------------------------

    @property
    def heard_ever(self) -> bool:
        """Whether the engine said anything; only then the attempt that led here was a success."""
        return self.heard or self.heard_before

    def keep_alive(self) -> None:
        """Called every `PING_INTERVAL_S`; ends a socket from which nothing came for `SILENCE_S`.

        Counted in pings and not by the clock: a loop that was blocked for a minute must not take itself for silence.
        """
        if self.transport is None or not self.open:
            return
        self.silent_pings = 0 if self.heard else self.silent_pings + 1
        self.heard_before |= self.heard
        self.heard = False
        if self.silent_pings >= SILENT_PINGS:
            logger.warning("No sign of life from the engine for %d s, reconnecting", int(SILENCE_S))
            self.abort()
            return
        with self.lock:
            self.transport.send_ping()

    def close(self, code: int) -> None:
        """Say goodbye after what has gathered, then end TCP."""
        with self.lock:
            if self.transport is None or not self.open:
                return
            while self.batch:
                self.paused = False  # the transport keeps the order, and sends it before it closes
                self.flush()
            self.transport.send_close(WSCloseCode(code))
        self.transport.disconnect()

    def end_after_fork(self, backlog: Backlog) -> None:
        """In a forked child, whose copies of the descriptors are closed already."""
        self.open = False
        self.backlog = backlog
        self.lock = backlog.lock
        self.batch = []

    def abandon(self) -> None:
        """Nobody waits for this connection any more; should it still come up, it is ended at once."""
        self.abandoned = True
        self.abort()

    def abort(self) -> None:
        """End TCP at once."""
        if self.transport is not None:
            self.transport.disconnect(graceful=False)
