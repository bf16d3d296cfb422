"""One WebSocket of either side: whole messages in, frames out, and its end (01 §2). What is done with them, a handler says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from iii.net import picows_side
from iii.net.frames import PING, PONG
from iii.net.inbox import Inbox
from iii.net.picows_side import BINARY, CLOSED, PINGED, PONGED, TEXT, Frame, FrameListener, Kind, PicowsTransport
from iii.protocol.close_codes import CloseCode
from iii.protocol.limits import INBOUND_MESSAGE_BYTES
from iii.protocol.log_event import LogEvent

FRAME_REFUSED = LogEvent(
    __name__, "connection.frame_refused", logging.WARNING, "Connection closed: a frame is not valid or too large",
    means="The peer broke the WebSocket protocol, or sent a message above the limit.",
    do="Look at the client; `reason` is in the Close frame that it got too.",
)  # fmt: skip

CLOSE_WAIT_S = 1.0  # for the other side's Close or for the last bytes to leave, then the connection is aborted (L6)
LAST_WORD_S = 60.0  # for a peer that still reads what its system has received


class Box(Protocol):
    """What a connection needs of its outbox."""

    paused: bool  # the transport has enough for now

    @property
    def closed(self) -> bool: ...

    def send_control(self, opcode: int, payload: bytes = b"") -> None: ...

    def close(self, code: int, reason: str = "") -> None:
        """Write everything, then Close, then nothing more."""

    def answer_close(self, code: int | None) -> None:
        """Write Close, then nothing more; the peer reads nothing else."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def drop(self) -> None: ...

    def abort(self) -> None: ...


B = TypeVar("B", bound=Box)


class ConnectionHandler(Generic[B]):
    """Says what is done with the messages of one connection. What a kind of handler leaves out does nothing.

    Attributes:
        subprotocol: that the answer to the upgrade names.
        kept_alive: pinged, and ended when it is silent or does not read (L7).
        silent_code: of the Close that a silent peer gets; None: TCP ends without one.
        drain_s: seconds for which messages are taken that arrived right behind a Close.
    """

    __slots__ = ()

    subprotocol: str | None = None
    max_message_bytes = INBOUND_MESSAGE_BYTES
    kept_alive = True
    silent_code: CloseCode | None = None
    drain_s = 0.0

    @property
    def may_be_silent(self) -> bool:
        """Whether silence is no sign of death (L7)."""
        return False

    def opened(self, connection: Connection[B]) -> None:
        """Frames may follow."""

    def text(self, message: bytes, /) -> None:
        """One complete text message, UTF-8 or not. Looked up once, after `opened`."""

    def binary(self, message: bytes, /) -> None:
        """One complete binary message. Looked up once, after `opened`."""

    def peer_closed(self, code: int | None, reason: str) -> None:
        """The peer has sent its Close; `ended` follows."""

    def resumed(self) -> None:
        """The outbox, which was paused, takes more."""

    def silent(self) -> None:
        """The last ping has had no answer for some seconds."""

    def ended(self) -> None:
        """Nothing more will be received. Called at least once."""

    def gone(self) -> None:
        """TCP has ended: the last call."""


_NOBODY: ConnectionHandler[Any] = ConnectionHandler()


class Connection(FrameListener, Generic[B]):
    """A WebSocket that is open, from `open` on.

    Attributes:
        handler: says what is done with its messages; `text` and `binary` do it, looked up when it has opened.
        heard: whether a frame came since `lives` was last asked.
        silent_since: when that was.
    """

    __slots__ = (
        "_closing", "_drains", "_finishing", "_gone", "_held", "_logs", "_loop", "_lost", "_make_outbox", "binary", "handler",
        "heard", "inbox", "ip_address", "outbox", "silent_since", "text", "transport", "unanswered",
    )  # fmt: skip

    inbox: Inbox
    outbox: B
    transport: asyncio.Transport
    text: Callable[[bytes], None]
    binary: Callable[[bytes], None]

    def __init__(
        self,
        handler: ConnectionHandler[B],
        make_outbox: Callable[[asyncio.Transport], B],
        gone: Callable[[Connection[B]], None] | None = None,
        logs: bool = False,
    ) -> None:
        self.handler = handler
        self._make_outbox = make_outbox
        self._gone = gone
        self._logs = logs
        self._loop = asyncio.get_running_loop()
        self.heard = False
        self.silent_since = self._loop.time()
        self.ip_address: str | None = None
        self._held = self._lost = False  # lost: TCP ended while it was held
        self.unanswered: bytes | None = None  # the last ping while there was no room for an answer
        self._closing: asyncio.TimerHandle | None = None
        self._finishing = False
        self._drains: asyncio.TimerHandle | None = None  # until a Close counts that was heard before what its side sent

    @property
    def closing(self) -> bool:
        """Whether either side has sent a Close frame."""
        return self._closing is not None

    # -- in -------------------------------------------------------------------------------------------------------

    def open(self, transport: asyncio.Transport) -> None:
        """The handshake is done; frames follow."""
        self.transport = transport
        peer = transport.get_extra_info("peername")
        self.ip_address = str(peer[0]) if peer else None
        self.outbox = self._make_outbox(transport)
        self.inbox = Inbox(transport, self.handler.max_message_bytes, self._deliver)
        self.handler.opened(self)
        self.text, self.binary = self.handler.text, self.handler.binary

    def on_ws_connected(self, transport: PicowsTransport) -> None:
        if transport.is_client_side:
            self.open(transport.underlying_transport)

    def on_ws_frame(self, transport: PicowsTransport, frame: Frame) -> None:
        self.heard = True
        kind = frame.msg_type
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._refuse(CloseCode.PROTOCOL_ERROR, "reserved bits are set, but no extension was negotiated")
        elif kind is TEXT and frame.fin and self.inbox.plain:  # first: nearly all traffic
            self.text(frame.get_payload_as_bytes())
        else:
            if kind is PINGED:
                self._pinged(frame.get_payload_as_bytes())
            elif kind is CLOSED:
                self._close_frame(frame)
            elif kind is not PONGED and (refusal := self.inbox.data(kind, frame)) is not None:
                self._refuse(*refusal)
            if not frame.tail_size:
                self.inbox.shrink()

    def on_ws_disconnected(self, transport: PicowsTransport) -> None:
        if transport.is_client_side:
            picows_side.retrieve_error(transport)
        if self._held:
            self._lost = True
            self.outbox.drop()
        else:
            self.inbox.take_all(self._end)

    def pause_writing(self) -> None:
        self.outbox.pause()

    def resume_writing(self) -> None:
        self.outbox.resume()
        if self.unanswered is not None:
            payload, self.unanswered = self.unanswered, None
            self._pinged(payload)
        if self._finishing:
            self._wait_for_close()
        else:
            self.handler.resumed()

    def _deliver(self, kind: Kind, payload: bytes) -> None:
        if kind is CLOSED:
            self._peer_closes(payload)
        elif kind is BINARY:
            self.binary(payload)
        else:
            self.text(payload)

    def _pinged(self, payload: bytes) -> None:
        """Answer in order with everything else; of a slow reader's pings only the last one (RFC 6455 §5.5.3)."""
        if self.outbox.paused:
            self.unanswered = payload
        else:
            self.outbox.send_control(PONG, payload)

    def _close_frame(self, frame: Frame) -> None:
        payload = frame.get_payload_as_bytes()
        if frame.tail_size and self.handler.drain_s and self._drains is None:
            self.handler.peer_closed(*_close_of(payload))
            self._drains = self._loop.call_later(
                self.handler.drain_s, self.inbox.take_all, partial(self._peer_closes, payload)
            )
        else:
            self.inbox.put(CLOSED, payload)

    def let_others_in(self, wait: Callable[[Callable[[], None]], None]) -> None:
        self.inbox.let_others_in(wait)

    def hold(self) -> None:
        """Pause; until `release` nothing happens, not even the end."""
        self._held = True
        self.inbox.pause()

    def release(self) -> None:
        """Go on, or end if TCP did."""
        self._held = False
        if self._lost:
            self.inbox.take_all(self._end)
        else:
            self.inbox.resume()

    # -- keepalive ------------------------------------------------------------------------------------------------

    @property
    def may_be_silent(self) -> bool:
        """Whether silence is no sign of death (L7)."""
        return self._held or self.handler.may_be_silent

    def lives(self, now: float) -> bool:
        """Whether a frame came since this was last asked; from now on it is silent."""
        if lives := self.heard:
            self.heard, self.silent_since = False, now
        return lives

    def ping(self) -> float:
        """Returns the moment; `silent_since` is later if a frame came after it."""
        now = self._loop.time()
        self.lives(now)
        self.outbox.send_control(PING)
        return now

    # -- the end --------------------------------------------------------------------------------------------------

    def close(self, code: int, reason: str = "", wait_s: float = CLOSE_WAIT_S) -> None:
        """Send Close after what is queued; TCP ends when the other side answers, at the latest after `wait_s`."""
        if self._closing is None and not self.outbox.closed:
            self.inbox.stop()
            self.outbox.close(code, reason)
            self._closing = self._loop.call_later(wait_s, self.transport.abort)

    def leave(self, code: int, wait_s: float = CLOSE_WAIT_S) -> None:
        """As `close`; TCP ends once everything is written, whatever the other side says."""
        self.close(code, wait_s=wait_s)
        self.transport.close()

    def finish(self, code: int, reason: str) -> None:
        """As `close`, for a peer that may read late: its time begins when everything has left."""
        if not self.outbox.closed:
            self._finishing = True
            self.inbox.stop()
            self.outbox.close(code, reason)
            if not self.outbox.paused:
                self._wait_for_close()

    def abort(self) -> None:
        """End TCP at once, without a Close frame (01 §2.4)."""
        self.inbox.stop()
        self.outbox.abort()

    def tell_end(self) -> None:
        if self._drains is not None:
            self._drains.cancel()
        self.handler.ended()

    def broken(self, why: str) -> None:
        self.inbox.take_all(partial(self._broken, why))

    def _broken(self, why: str) -> None:
        self.inbox.stop()
        if not self.transport.is_closing():
            self.transport.pause_reading()
        self.outbox.drop()
        if self._logs:
            FRAME_REFUSED(ip_address=self.ip_address, reason=why)
        self.tell_end()
        if self._closing is None:  # the Close waits behind what a peer that does not read has not taken
            self._closing = self._loop.call_later(CLOSE_WAIT_S, self.transport.abort)

    def _refuse(self, code: CloseCode, why: str) -> None:
        if self._closing is None:
            self.inbox.take_all(partial(self._refused, code, why))

    def _refused(self, code: CloseCode, why: str) -> None:
        if self._logs:
            FRAME_REFUSED(ip_address=self.ip_address, reason=why)
        self.close(code, why)
        self.tell_end()

    def _peer_closes(self, payload: bytes) -> None:
        code, reason = _close_of(payload)
        self.handler.peer_closed(code, reason)
        if self._closing is None:
            self.inbox.stop()
            self.outbox.answer_close(code)
            self._closing = self._loop.call_later(CLOSE_WAIT_S, self.transport.abort)
        self.transport.close()
        self.tell_end()

    def _wait_for_close(self) -> None:
        if self._closing is None:
            self._closing = self._loop.call_later(CLOSE_WAIT_S, self.half_close)

    def half_close(self) -> None:
        """End our direction only: ending both would destroy what the peer has received and not read yet. TLS says goodbye."""
        if not self.transport.is_closing():
            (self.transport.write_eof if self.transport.can_write_eof() else self.transport.close)()
        self._closing = self._loop.call_later(LAST_WORD_S, self.transport.abort)

    def _end(self) -> None:
        self.inbox.end()
        if self._closing is not None:
            self._closing.cancel()
        self.outbox.drop()
        if self._gone is not None:
            self._gone(self)
        self.tell_end()
        self.handler.gone()
        self.handler = _NOBODY  # the old one leads back here: both are freed without the collector
        self.text, self.binary = self.handler.text, self.handler.binary


def _close_of(payload: bytes) -> tuple[int | None, str]:
    code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else None
    return code, payload[2:].decode("utf-8", "replace")
