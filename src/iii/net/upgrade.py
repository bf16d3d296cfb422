"""A TCP connection becomes a WebSocket: the hand-over to picows, at one place (01 §1.1)."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from picows import WSAutoPingStrategy, WSUpgradeResponse, WSUpgradeResponseWithListener
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its stubs

from iii.net.turnstile import CROWDED_READ_BYTES, READ_AT_ONCE_BYTES
from iii.protocol.limits import KIB

if TYPE_CHECKING:
    from iii.net.turnstile import Turnstile
    from iii.net.web_socket import WebSocket

logger = logging.getLogger(__name__)

LARGE_READ_BYTES = 16 * KIB  # after one the others have their turn: the event loop alone would read up to 32 in a row
READ_BUFFER_BYTES = 2048  # the least; it grows with what arrives, and idle connections are the many

# picows checks a request again, and is stricter than browsers are: it gets what the door understood of it
_REQUEST = (
    b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
)
_ANY_KEY = "AAAAAAAAAAAAAAAAAAAAAA=="


def upgrade(transport: asyncio.Transport, key: str, received: bytes, web_socket: WebSocket) -> None:
    """Answer 101 and let `web_socket` have the connection, beginning with what arrived after the request head."""
    protocol = _shaken_hands(transport, key, web_socket)
    transport.set_protocol(protocol)
    web_socket.open(transport)
    _feed(protocol, received)


def read_room(transport: asyncio.Transport) -> int:
    """Free bytes of the read buffer."""
    protocol = transport.get_protocol()
    return len(WSProtocol.get_buffer(protocol, -1)) if isinstance(protocol, _Frames) else 0


def renew(transport: asyncio.Transport, web_socket: WebSocket) -> None:
    """Start again with a small read buffer, which picows would never do. No byte of a frame may be in the old one."""
    stand_in = _Transport(transport)
    protocol = _shaken_hands(stand_in, _ANY_KEY, web_socket)
    stand_in.deaf = False
    transport.set_protocol(protocol)


def _shaken_hands(transport: asyncio.Transport | _Transport, key: str, web_socket: WebSocket) -> _Frames:
    protocol = _Frames(
        web_socket.connections.turnstile,
        None,  # host and path are a client's
        None,
        False,  # not the client
        partial(_response, web_socket),
        _Log(web_socket),
        False,  # our exceptions don't end a connection
        None,  # the door had the deadline
        False,  # the keepalive is ours (L7)
        0,
        0,
        WSAutoPingStrategy.PING_WHEN_IDLE,
        False,  # pings are answered in order with everything else
        web_socket.max_message_bytes,
        None,
        READ_BUFFER_BYTES,
    )
    protocol.connection_made(transport)
    _feed(protocol, _REQUEST % key.encode())
    return protocol


def _response(web_socket: WebSocket, request: Any) -> Any:
    """101 in picows' words; with the subprotocol, if the client offered any."""
    if web_socket.subprotocol is None:
        return web_socket
    headers = {"Sec-WebSocket-Protocol": web_socket.subprotocol}
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(headers), web_socket)


def _feed(protocol: _Frames, received: bytes) -> None:
    left = memoryview(received)
    while left:
        room = protocol.get_buffer(-1)
        size = min(len(room), len(left))
        room[:size] = left[:size]
        left = left[size:]
        protocol.buffer_updated(size)


class _Transport:
    """The transport, except that it says nothing while deaf: the handshake that picows must have is not repeated."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.deaf = True

    def write(self, data: bytes) -> None:
        if not self.deaf:
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Frames(WSProtocol):  # type: ignore[misc]  # untyped
    """Reads little at a time: one read must not bring work for seconds, nor all that the system kept during a pause."""

    __slots__ = ("_at_once", "_turnstile")

    def __init__(self, turnstile: Turnstile, *arguments: object) -> None:
        super().__init__(*arguments)
        self._turnstile = turnstile
        self._at_once = READ_AT_ONCE_BYTES

    def get_buffer(self, sizehint: int) -> memoryview:
        room: memoryview = super().get_buffer(sizehint)
        self._at_once = self._turnstile.allowance()
        return room if len(room) <= self._at_once else room[: self._at_once]

    def buffer_updated(self, nbytes: int) -> None:
        if nbytes >= CROWDED_READ_BYTES:
            self._turnstile.has_read(nbytes)
        super().buffer_updated(nbytes)
        if nbytes >= LARGE_READ_BYTES or nbytes == self._at_once:
            self.listener.let_others_in()

    def eof_received(self) -> bool:
        """Nobody is left to read what is not written yet, so that the end need not wait for it."""
        self.transport.underlying_transport.abort()
        return False


class _Log:
    """What picows takes for its logger: the only place where it tells that a frame was broken."""

    __slots__ = ("_web_socket",)

    def __init__(self, web_socket: WebSocket) -> None:
        self._web_socket = web_socket

    def isEnabledFor(self, level: int) -> bool:
        return False

    def debug(self, template: str, *values: object) -> None:
        pass

    info = warning = debug

    def error(self, template: str, *values: object) -> None:
        match values:
            case ((_, str(reason)),):  # of the Close that picows sends
                self._web_socket.broken(reason)
            case _:
                self._web_socket.broken(template % values)

    def exception(self, template: str, *values: object) -> None:
        logger.exception("%s", template % values)
