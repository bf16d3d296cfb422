"""A TCP connection becomes a WebSocket: the hand-over to picows, at one place (01 §1.1)."""

import asyncio
import logging

from picows import WSAutoPingStrategy
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its stubs

from iii.protocol.limits import INBOUND_MESSAGE_BYTES
from iii.server.web_socket import WebSocket

logger = logging.getLogger(__name__)

READ_BUFFER_BYTES = 2048  # the least; it grows with what arrives, and idle connections are the many

# picows checks a request again, and is stricter than browsers are: it gets what the door understood of it
_REQUEST = (
    b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
)


def upgrade(transport: asyncio.Transport, key: str, received: bytes, web_socket: WebSocket) -> None:
    """Answer 101 and let `web_socket` have the connection, beginning with what arrived after the request head."""
    protocol = _Frames(
        None,  # host and path are a client's
        None,
        False,  # not the client
        lambda request: web_socket,
        _Log(web_socket),
        False,  # our exceptions don't end a connection
        None,  # the door had the deadline
        False,  # the keepalive is ours (L7)
        0,
        0,
        WSAutoPingStrategy.PING_WHEN_IDLE,
        False,  # pings are answered in order with everything else
        INBOUND_MESSAGE_BYTES,
        None,
        READ_BUFFER_BYTES,
    )
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    left = memoryview(_REQUEST % key.encode() + received)
    while left and not transport.is_closing():
        room = protocol.get_buffer(-1)
        size = min(len(room), len(left))
        room[:size] = left[:size]
        left = left[size:]
        protocol.buffer_updated(size)


class _Frames(WSProtocol):  # type: ignore[misc]  # untyped
    __slots__ = ()

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
