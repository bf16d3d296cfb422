"""One accepted WebSocket: whole messages in, frames out, and its end (01 §2). What picows knows stays in here."""

from __future__ import annotations

import asyncio
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
        "_closing", "_fragments", "_fragments_are_binary", "_nothing_special", "_shrinks", "_transport", "connections",
        "heard", "ip_address", "outbox", "receive", "receive_binary", "silent_since",
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
        self._nothing_special = True  # neither fragments nor a buffer to shrink
        self._closing: asyncio.TimerHandle | None = None

    # -- for subclasses -------------------------------------------------------------------------------------------

    def opened(self) -> None:
        """Frames may follow."""

    def pinged(self, payload: bytes) -> None:
        """Answer in order with everything else."""
        self.outbox.send_frame(control_frame(PONG, payload))

    def ended(self) -> None:
        """Nothing more will be received. Called at least once."""

    @property
    def may_be_silent(self) -> bool:
        """Whether silence is no sign of death (L7)."""
        return False

    # -- in -------------------------------------------------------------------------------------------------------

    def open(self, transport: asyncio.Transport) -> None:
        """The upgrade is done; frames follow."""
        self._transport = transport
        peer = self._transport.get_extra_info("peername")
        self.ip_address = str(peer[0]) if peer else None
        self.outbox = Outbox(self._transport, self.connections.flusher)
        self.connections.add(self)
        self.opened()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.heard = True
        if frame.msg_type is _TEXT and frame.fin and self._nothing_special:  # first: nearly all traffic
            self.receive(frame.get_payload_as_bytes())
        else:
            self._any_frame(frame)
            if self._shrinks and not frame.tail_size:
                self._shrink()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
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

    def _any_frame(self, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is _TEXT or kind is _BINARY or kind is _CONTINUATION:
            if self._closing is None:
                self._data_frame(kind, frame)
        elif kind is _PING:
            self.pinged(frame.get_payload_as_bytes())
        elif kind is _CLOSE:
            self._peer_closes(frame.get_payload_as_bytes())

    def _data_frame(self, kind: WSMsgType, frame: WSFrame) -> None:
        fragments = self._fragments
        if (fragments is None) == (kind is _CONTINUATION):
            self._refuse(CloseCode.PROTOCOL_ERROR, "a message that does not begin, or begins before the last one ended")
            return
        if fragments is None:
            if frame.fin:
                (self.receive_binary if kind is _BINARY else self.receive)(frame.get_payload_as_bytes())
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
            self._nothing_special = not self._shrinks
            (self.receive_binary if self._fragments_are_binary else self.receive)(bytes(fragments))

    # -- memory ---------------------------------------------------------------------------------------------------

    def save_memory(self) -> None:
        """Give back, at the next frame, what a large message has made the read buffer grow to."""
        if self._closing is None and upgrade.read_room(self._transport) > LARGE_ROOM_BYTES:
            self._shrinks = True
            self._nothing_special = False

    def _shrink(self) -> None:
        self._shrinks = False
        self._nothing_special = self._fragments is None
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

    def ping(self) -> None:
        self.outbox.send_frame(_PING_FRAME)

    def broken(self, why: str) -> None:
        """picows cannot read a frame; it says so to the other side and ends the connection itself."""
        self._transport.pause_reading()
        self._stop_receiving()
        self.outbox.drop()
        self.connections.log.warning("Connection from %s ended: %s", self.ip_address, why)
        self.ended()

    def _refuse(self, code: CloseCode, why: str) -> None:
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


_PING_FRAME = control_frame(PING)


def ignore(message: bytes) -> None:
    """Receives what nobody wants."""
