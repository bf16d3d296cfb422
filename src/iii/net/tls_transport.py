"""TLS over a connection of the event loop: the only file that sees aiofastnet (22 §3).

The TLS of the loops themselves calls back while it is flushing, so that a close within a callback fails in both of them, and
has 256 KiB for each connection. And a loop's own connection stays below: under uvloop aiofastnet's would not hear of a
reset that comes with the last bytes.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import TypeVar

from aiofastnet.ssl_transport import (  # type: ignore[import-not-found]  # untyped
    SSLBufferedProtocol,
    SSLProtocol,
    SSLTransport_Transport,
)

_BUFFER_BYTES = 2 * (16 * 1024 + 64)  # two records each way
_GONE = "the connection ended during the TLS handshake"
_GOODBYE_S = 30.0  # for the other side's `close_notify`; who closes has limits of its own

P = TypeVar("P", bound=asyncio.BufferedProtocol)


class _EndsInTime:
    """Says what aiofastnet takes for an error of the program, or for a success: that the other side went during the handshake."""

    encrypted: SSLTransport_Transport
    waiter: asyncio.Future[None]

    def eof_received(self) -> None:
        if self.waiter.done():
            super().eof_received()  # type: ignore[misc]
        else:
            self.waiter.set_exception(ConnectionResetError(_GONE))
            self.encrypted.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.waiter.done():
            self.waiter.set_exception(exc or ConnectionResetError(_GONE))
        super().connection_lost(exc)  # type: ignore[misc]


class _Buffered(_EndsInTime, SSLBufferedProtocol):  # type: ignore[misc]  # untyped
    pass


class _Copied(_EndsInTime, SSLProtocol):  # type: ignore[misc]  # where Python has no OpenSSL of the system
    pass


async def shake_hands(
    connected: socket.socket, protocol: P, context: ssl.SSLContext, limit_s: float, server_name: str | None = None
) -> P:
    """Give a protocol an encrypted connection. Raises SSLError, OSError, TimeoutError.

    Args:
        server_name: of the other side, for a client; None: this is the server's side.
    """
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()
    encrypted = SSLTransport_Transport(
        loop,
        protocol,
        context,
        server_name is None,
        limit_s + 1,  # never before ours
        _GOODBYE_S,
        _BUFFER_BYTES,
        _BUFFER_BYTES,
        waiter=waiter,
        server_hostname=server_name,
    )
    buffered = isinstance(encrypted.get_tls_protocol(), SSLBufferedProtocol)
    below = (_Buffered if buffered else _Copied)(encrypted)
    below.encrypted, below.waiter = encrypted, waiter
    try:
        async with asyncio.timeout(limit_s):
            await loop.connect_accepted_socket(lambda: below, connected)
            await waiter
    except BaseException:
        waiter.cancel()  # the end that follows has nobody to tell
        encrypted.abort()
        with suppress(OSError):
            connected.close()
        raise
    return protocol
