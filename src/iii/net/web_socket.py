"""One accepted WebSocket: whole messages in, frames out, and its end (01 §2). What picows knows stays in here."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from iii.net import upgrade
from iii.net.framing import PING, PONG, close_frame, control_frame
from iii.net.outbox import Outbox
from iii.protocol.close_codes import CloseCode
from iii.protocol.limits import INBOUND_MESSAGE_BYTES, KIB, MIB

if TYPE_CHECKING:
    from iii.net.connections import Connections

logger = logging.getLogger(__name__)

LARGE_ROOM_BYTES = 64 * KIB  # of the read buffer; a thousand workers may well have sent one large message each
CLOSE_WAIT_S = 1.0  # for the other side's Close or for the last bytes to leave, then the connection is aborted (L6)

_TEXT = WSMsgType.TEXT
_BINARY = WSMsgType.BINARY
_CONTINUATION = WSMsgType.CONTINUATION
_PING = WSMsgType.PING
_CLOSE = WSMsgType.CLOSE


class WebSocket(WSListener):
    """Base of the endpoints. A subclass says in `opened` who takes messages, and cleans up in `ended`."""

    __slots__ = (
        "_closing", "_fragments", "_fragments_are_binary", "_kept", "_nothing_special", "_pauses", "_shrinks", "_slowed",
        "_transport", "_unanswered", "connections", "heard", "ip_address", "outbox", "receive", "receive_binary",
        "silent_since",
    )  # fmt: skip

    subprotocol: str | None = None  # that the answer to the upgrade names
    max_message_bytes = INBOUND_MESSAGE_BYTES
    kept_alive = True  # pinged, and ended when it is silent or does not read (L7)

    receive: Callable[[bytes], None]  # gets each complete text message, UTF-8 or not
    receive_binary: Callable[[bytes], None]

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.heard = True  # an inbound frame since the last sweep
        self.silent_since = 0.0
        self.ip_address: str | None = None
        self.receive = self.receive_binary = ignore
        self._fragments: bytearray | None = None
        self._fragments_are_binary = False
        self._shrinks = False  # the read buffer, at the next chance
        self._pauses = 0  # reasons to take no further message
        self._slowed = False  # one of them
        self._kept: deque[tuple[WSMsgType, bytes]] | None = (
            None  # messages, or the Close, that were read before the pause
        )
        self._nothing_special = True  # neither fragments nor a buffer to shrink, and not paused
        self._unanswered: bytes | None = None  # the last ping while there was no room for an answer
        self._closing: asyncio.TimerHandle | None = None

    # -- for subclasses -------------------------------------------------------------------------------------------

    def opened(self) -> None:
        """Frames may follow."""

    def pinged(self, payload: bytes) -> None:
        """Answer in order with everything else; of a slow reader's pings only the last one (RFC 6455 §5.5.3)."""
        if self.outbox.paused:
            self._unanswered = payload
        else:
            self.outbox.send_frame(control_frame(PONG, payload))

    def ended(self) -> None:
        """Nothing more will be received. Called at least once."""

    @property
    def may_be_silent(self) -> bool:
        """Whether silence is no sign of death (L7)."""
        return False

    @property
    def closing(self) -> bool:
        """Whether either side has sent a Close frame."""
        return self._closing is not None

    # -- pauses ---------------------------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        """Take no further message until `resume_reading` was called as often; TCP carries that back to the sender.

        Messages that the last read has brought already wait here, in order, 64 KiB of them beside a larger one, and are
        taken when the connection ends meanwhile. Pings are answered.
        """
        if self._closing is not None or self._transport.is_closing():
            return
        self._pauses += 1
        if self._pauses == 1:
            self._nothing_special = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take what was kept, then read on."""
        if self._pauses:  # it has not ended meanwhile
            self._pauses -= 1
            self._take_kept()

    def let_others_in(self) -> None:
        """Read on in a later turn of the loop, one of those who bring much in each."""
        self.pause_reading()
        self.connections.turnstile.wait(self.resume_reading)

    def pace(self, size: int) -> float:
        """Seconds for which a sender of so much to this peer, which reads too slowly, is to wait (P5)."""
        return self.outbox.pace(size, self.connections.loop.time())

    def slow_down(self, seconds: float) -> None:
        """Take its next message so much later: it sends faster than a receiver reads (P5)."""
        if not self._slowed:
            self._slowed = True
            self.pause_reading()
            self.connections.loop.call_later(seconds, self._slow_no_more)

    def _slow_no_more(self) -> None:
        self._slowed = False
        self.resume_reading()

    def _keep(self, kind: WSMsgType, payload: bytes) -> None:
        if self._kept is None:
            self._kept = deque()
        self._kept.append((kind, payload))

    def _take_kept(self) -> None:
        while self._kept and not self._pauses:
            kind, payload = self._kept.popleft()
            try:
                if kind is _CLOSE:
                    self._peer_closes(payload)
                else:
                    (self.receive_binary if kind is _BINARY else self.receive)(payload)
            except Exception:  # as picows does: else nothing would ever be read again
                logger.exception("Message of %s failed inside the engine", self.ip_address)
        if not self._pauses:
            self._kept = None  # an empty one is not small
            self._nothing_special = self._fragments is None and not self._shrinks
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def _take_all(self) -> None:
        """The connection ends: what came before that counts, as if there had been no pause."""
        while self._kept:
            self._pauses = 0
            self._take_kept()

    # -- in -------------------------------------------------------------------------------------------------------

    def open(self, transport: asyncio.Transport) -> None:
        """The upgrade is done; frames follow."""
        self._transport = transport
        peer = self._transport.get_extra_info("peername")
        self.ip_address = str(peer[0]) if peer else None
        self.outbox = Outbox(self._transport, self.connections.flusher, self.connections.log)
        self.connections.add(self)
        self.opened()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.heard = True
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._refuse(CloseCode.PROTOCOL_ERROR, "a frame with reserved bits, and no extension was negotiated")
        elif frame.msg_type is _TEXT and frame.fin and self._nothing_special:  # first: nearly all traffic
            self.receive(frame.get_payload_as_bytes())
        else:
            self._any_frame(frame)
            if self._shrinks and not frame.tail_size:
                self._shrink()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._take_all()
        self._stop_receiving()
        if self._closing is not None:
            self._closing.cancel()
        self.outbox.drop()
        self.connections.remove(self)
        self.ended()

    def pause_writing(self) -> None:
        self.outbox.pause()

    def resume_writing(self) -> None:
        self.outbox.resume()
        if self._unanswered is not None:
            payload, self._unanswered = self._unanswered, None
            self.pinged(payload)

    def _any_frame(self, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is _TEXT or kind is _BINARY or kind is _CONTINUATION:
            if self._closing is None:
                self._data_frame(kind, frame)
        elif kind is _PING:
            self.pinged(frame.get_payload_as_bytes())
        elif kind is _CLOSE:
            if self._pauses:
                self._keep(_CLOSE, frame.get_payload_as_bytes())
            else:
                self._peer_closes(frame.get_payload_as_bytes())

    def _data_frame(self, kind: WSMsgType, frame: WSFrame) -> None:
        fragments = self._fragments
        if (fragments is None) == (kind is _CONTINUATION):
            self._refuse(CloseCode.PROTOCOL_ERROR, "a message that does not begin, or begins before the last one ended")
            return
        if fragments is None:
            if frame.fin:
                self._message(kind, frame.get_payload_as_bytes())
                return
            self._fragments = fragments = bytearray()  # one buffer: tiny fragments would cost more than their bytes
            self._fragments_are_binary = kind is _BINARY
            self._nothing_special = False
        if len(fragments) + frame.payload_size > self.max_message_bytes:
            self._refuse(CloseCode.MESSAGE_TOO_BIG, f"a message of more than {self.max_message_bytes / MIB:g} MiB")
            return
        fragments += frame.get_payload_as_memoryview()
        if frame.fin:
            self._fragments = None
            self._nothing_special = not self._shrinks and not self._pauses
            self._message(_BINARY if self._fragments_are_binary else _TEXT, bytes(fragments))

    def _message(self, kind: WSMsgType, message: bytes) -> None:
        if self._pauses:
            self._keep(kind, message)
        else:
            (self.receive_binary if kind is _BINARY else self.receive)(message)

    # -- memory ---------------------------------------------------------------------------------------------------

    def save_memory(self) -> None:
        """Give back, at the next frame, what a large message has made the read buffer grow to."""
        if self._closing is None and upgrade.read_room(self._transport) > LARGE_ROOM_BYTES:
            self._shrinks = True
            self._nothing_special = False

    def _shrink(self) -> None:
        self._shrinks = False
        self._nothing_special = self._fragments is None and not self._pauses
        if not self._transport.is_closing():
            upgrade.renew(self._transport, self)

    # -- the end --------------------------------------------------------------------------------------------------

    def close(self, code: int, reason: str = "") -> None:
        """Send Close after what is queued; TCP ends when the other side answers, at the latest after a second."""
        if self._closing is None and not self.outbox.closed:
            self._stop_receiving()
            self.outbox.close(close_frame(code, reason))
            self._closing = self.connections.loop.call_later(CLOSE_WAIT_S, self._transport.abort)

    def abort(self) -> None:
        """End TCP at once, without a Close frame (01 §2.4)."""
        self._stop_receiving()
        self.outbox.abort()

    def given_up(self) -> None:
        """It is silent, or does not read."""
        self.abort()

    def ping(self) -> float:
        """Returns the moment, for `heard_since`."""
        now = self.connections.loop.time()
        if self.heard:
            self.heard = False
            self.silent_since = now
        self.outbox.send_frame(_PING_FRAME)
        return now

    def heard_since(self, moment: float) -> bool:
        """Whether a frame came since a ping, or reading is paused and none could."""
        return self.heard or self.silent_since > moment or self._pauses > 0

    def broken(self, why: str) -> None:
        """picows cannot read a frame; it says so to the other side and ends the connection itself."""
        self._take_all()
        self._stop_receiving()
        self._transport.pause_reading()
        self.outbox.drop()
        self.connections.log.warning("Connection from %s ended: %s", self.ip_address, why)
        self.ended()

    def _refuse(self, code: CloseCode, why: str) -> None:
        if self._closing is not None:
            return
        self._take_all()
        self.connections.log.warning("Connection from %s ended: %s", self.ip_address, why)
        self.close(code, why)
        self.ended()

    def _peer_closes(self, payload: bytes) -> None:
        code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else None
        if self._closing is None:
            self._stop_receiving()
            self.outbox.close(close_frame(code))
            self._closing = self.connections.loop.call_later(CLOSE_WAIT_S, self._transport.abort)
        self._transport.close()
        self.ended()

    def _stop_receiving(self) -> None:
        self.receive = self.receive_binary = ignore
        self._fragments = None
        self._kept = None
        if self._pauses:
            self._pauses = 0
            if not self._transport.is_closing():
                self._transport.resume_reading()  # for the answer to a Close


_PING_FRAME = control_frame(PING)


def ignore(message: bytes) -> None:
    """Receives what nobody wants."""
