"""What picows knows, of both sides: the only file that sees it (01 §1.1)."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import cache, partial
from socket import socket
from ssl import SSLContext
from typing import Any, NamedTuple

from picows import (
    WSAutoPingStrategy,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_connect,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its stubs
from picows.url import WSParsedURL, parse_url

from iii.net.read_turns import CROWDED_READ_BYTES, READ_AT_ONCE_BYTES, ReadTurns
from iii.net.tls_transport import shake_hands
from iii.protocol.limits import FRAGMENT_BYTES
from iii.protocol.log_event import LogEvent

MESSAGE_FAILED = LogEvent(
    __name__, "connection.message_failed", logging.ERROR, "Handling of a WebSocket message failed",
    means="A message of a peer raised while it was applied; it is dropped, and the connection goes on.",
    do="Report it with its stack trace.",
)  # fmt: skip

_CLIENT_READ_BYTES = 64 * 1024  # several frames of the largest batch: one that is cut costs a turn of the loop more
READ_BUFFER_BYTES = 2048  # the least; it grows with what arrives, and idle connections are the many

Frame = WSFrame
Kind = WSMsgType
PicowsTransport = WSTransport
TEXT = WSMsgType.TEXT
BINARY = WSMsgType.BINARY
CONTINUATION = WSMsgType.CONTINUATION
PINGED = WSMsgType.PING
PONGED = WSMsgType.PONG
CLOSED = WSMsgType.CLOSE

# picows checks a request again, and is stricter than browsers are: it gets what `HttpUpgrade` understood of it
_REQUEST = (
    b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
)
_ANY_KEY = "AAAAAAAAAAAAAAAAAAAAAA=="


class FrameListener(WSListener):
    """What hears of frames, and of what befalls them. picows calls it directly: nothing stands between."""

    __slots__ = ()

    def open(self, transport: asyncio.Transport) -> None:
        """The handshake is done; frames follow."""
        raise NotImplementedError

    def broken(self, why: str) -> None:
        """picows cannot read a frame; it says so to the other side and ends the connection itself."""
        raise NotImplementedError

    def let_others_in(self, wait: Callable[[Callable[[], None]], None]) -> None:
        """Much was read: read on when `wait` calls back."""
        raise NotImplementedError


class TlsClient(NamedTuple):
    """How a connection to `wss://` is made; `server_name`: in the certificate, where it is not the host of the URL."""

    context: SSLContext
    server_name: str | None


class Terms(NamedTuple):
    """What an accepted connection is upgraded to."""

    max_message_bytes: int
    subprotocol: str | None  # that the answer names
    read_turns: ReadTurns


# -- the engine's side ------------------------------------------------------------------------------------------------


def accept(transport: asyncio.Transport, key: str, received: bytes, listener: FrameListener, terms: Terms) -> None:
    """Answer 101 and let `listener` have the connection, beginning with what arrived after the request head."""
    protocol = _shaken_hands(transport, key, listener, terms)
    transport.set_protocol(protocol)
    listener.open(transport)
    _feed(protocol, received)


def read_room(transport: asyncio.Transport) -> int:
    """Free bytes of the read buffer of an accepted connection."""
    protocol = transport.get_protocol()
    return len(WSProtocol.get_buffer(protocol, -1)) if isinstance(protocol, _Frames) else 0


def renew(transport: asyncio.Transport) -> None:
    """Start again with a small read buffer, which picows would never do. No byte of a frame may be in the old one."""
    old = transport.get_protocol()
    if isinstance(old, _Frames):
        stand_in = _Transport(transport)
        protocol = _shaken_hands(stand_in, _ANY_KEY, old.listener, old.terms)
        stand_in.deaf = False
        transport.set_protocol(protocol)


def _shaken_hands(
    transport: asyncio.Transport | _Transport, key: str, listener: FrameListener, terms: Terms
) -> _Frames:
    protocol = _Frames(
        terms,
        None,  # host and path are a client's
        None,
        False,  # not the client
        partial(_response, listener, terms.subprotocol),
        _Log(listener),
        False,  # our exceptions don't end a connection
        None,  # `HttpUpgrade` had the deadline
        False,  # the keepalive is ours (L7)
        0,
        0,
        WSAutoPingStrategy.PING_WHEN_IDLE,
        False,  # pings are answered in order with everything else
        terms.max_message_bytes,
        None,
        READ_BUFFER_BYTES,
    )
    protocol.connection_made(transport)
    request = _REQUEST % key.encode()
    _feed(protocol, request)
    terms.read_turns.read_bytes -= len(request)  # which nobody sent
    return protocol


def _response(listener: FrameListener, subprotocol: str | None, request: Any) -> Any:
    """101 in picows' words; with the subprotocol, if the client offered any."""
    if subprotocol is None:
        return listener
    headers = {"Sec-WebSocket-Protocol": subprotocol}
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(headers), listener)


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


# `super()` costs three times as much as the method: once a read, and a read is often one small message
_get_buffer: Callable[[_Frames, int], memoryview] = WSProtocol.get_buffer
_buffer_updated: Callable[[_Frames, int], None] = WSProtocol.buffer_updated


class _Frames(WSProtocol):  # type: ignore[misc]  # untyped
    """Reads little at a time: one read must not bring work for seconds, nor all that the system kept during a pause."""

    __slots__ = ("_read_turns", "terms")

    def __init__(self, terms: Terms, *arguments: object) -> None:
        super().__init__(*arguments)
        self.terms = terms
        self._read_turns = terms.read_turns

    def get_buffer(self, sizehint: int) -> memoryview:
        room = _get_buffer(self, sizehint)
        allowed = self._read_turns.allowance() if self._read_turns.is_turning else READ_AT_ONCE_BYTES
        return room if len(room) <= allowed else room[:allowed]

    def buffer_updated(self, nbytes: int) -> None:
        self._read_turns.read_bytes += nbytes
        if nbytes < CROWDED_READ_BYTES:
            _buffer_updated(self, nbytes)
            return
        self._read_turns.has_read()
        _buffer_updated(self, nbytes)
        if self._read_turns.is_over():  # the event loop alone would read up to 32 times in a row
            self.listener.let_others_in(self._read_turns.wait)

    def eof_received(self) -> bool:
        """Nobody is left to read what is not written yet, so that the end need not wait for it."""
        transport = self.transport.underlying_transport
        if transport.get_extra_info("sslcontext") is None:
            transport.abort()
        else:  # which may be about to say goodbye, and has called this from there
            asyncio.get_running_loop().call_soon(transport.abort)
        return False


class _Log:
    """What picows takes for its logger: the only place where it tells that a frame was broken."""

    __slots__ = ("_listener",)

    def __init__(self, listener: FrameListener) -> None:
        self._listener = listener

    def isEnabledFor(self, level: int) -> bool:
        return False

    def debug(self, template: str, *values: object) -> None:
        pass

    info = warning = debug

    def error(self, template: str, *values: object) -> None:
        match values:
            case ((_, str(reason)),):  # of the Close that picows sends
                self._listener.broken(reason)
            case _:
                self._listener.broken(template % values)

    def exception(self, template: str, *values: object) -> None:
        MESSAGE_FAILED(sys.exception(), reason=template % values)


# -- the worker's side ------------------------------------------------------------------------------------------------


@cache
def _seed_masks() -> None:
    """picows draws its masks from the C library, whose numbers are the same in each process that has not seeded them.

    RFC 6455 §5.3 wants masks that whoever chose the payload cannot foresee.
    """
    import ctypes  # some milliseconds, which programs that do not connect are spared

    with suppress(OSError, AttributeError, TypeError):  # where there is none, they are what they are
        ctypes.CDLL(None).srand(int.from_bytes(os.urandom(4), "big"))


if hasattr(os, "register_at_fork"):  # a child would draw what its parent draws
    os.register_at_fork(after_in_child=_seed_masks.cache_clear)


async def connect(
    listener: FrameListener,
    url: str,
    headers: Mapping[str, str],
    connected_socket: Callable[[str, int], Awaitable[socket]],
    max_message_bytes: int,
    timeout_s: float,
    remarks: logging.Logger,
    tls: TlsClient | None = None,
) -> None:
    """Shake hands on a socket to the host and port of a URL. Raises TimeoutError, or whatever went wrong; a redirect is an error.

    Args:
        tls: for a URL of `wss://`.
    """

    _seed_masks()

    async def reach(parsed: WSParsedURL) -> socket:
        return await connected_socket(parsed.host, parsed.port)

    if tls is not None:
        parsed = parse_url(url)
        connected = await reach(parsed)
        await _connect_encrypted(listener, parsed, headers, connected, max_message_bytes, timeout_s, remarks, tls)
        return
    await ws_connect(
        lambda: listener,
        url,
        websocket_handshake_timeout=timeout_s,
        disconnect_on_exception=False,
        enable_auto_pong=False,
        max_frame_size=max_message_bytes,
        max_redirects=0,
        extra_headers=headers,
        logger_name=remarks,
        socket_factory=reach,
        # Under uvloop its reader would never hear of a reset that comes with the last bytes: it is called only once for both
        use_aiofastnet=False,
    )


async def _connect_encrypted(
    listener: FrameListener,
    parsed: WSParsedURL,
    headers: Mapping[str, str],
    connected: socket,
    max_message_bytes: int,
    timeout_s: float,
    remarks: logging.Logger,
    tls: TlsClient,
) -> None:
    """What `ws_connect` does, over TLS that both loops bear."""
    protocol = WSProtocol(
        parsed.netloc,
        parsed.resource_name,
        True,  # the client
        lambda: listener,
        remarks,
        False,
        timeout_s,
        False,  # the keepalive is ours
        0,
        0,
        WSAutoPingStrategy.PING_WHEN_IDLE,
        False,
        max_message_bytes,
        headers,
        _CLIENT_READ_BYTES,
    )
    await shake_hands(connected, protocol, tls.context, timeout_s, tls.server_name or parsed.host)
    await protocol.wait_until_handshake_complete()


def write_masked(transport: asyncio.Transport, is_text: bool, message: bytes) -> None:
    """Write a large message in fragments, masked by picows' vector code."""
    picows: WSTransport = transport.get_protocol().transport  # type: ignore[attr-defined]
    if len(message) <= FRAGMENT_BYTES:
        picows.send(TEXT if is_text else BINARY, message)
        return
    view = memoryview(message)
    kind = TEXT if is_text else BINARY
    for start in range(0, len(view), FRAGMENT_BYTES):
        picows.send(kind, view[start : start + FRAGMENT_BYTES], fin=start + FRAGMENT_BYTES >= len(view))
        kind = CONTINUATION


def retrieve_error(transport: WSTransport) -> None:
    """Take note of the protocol error that a connection ended with, in the callback that tells of the end.

    picows has logged it, and leaves it in a future that complains if nobody fetches it (core finding 21).
    """

    async def retrieve() -> None:
        try:
            await transport.wait_disconnected()
        except Exception:
            pass

    asyncio.get_running_loop().create_task(retrieve())  # ends in its first turn, and until then the loop has it
