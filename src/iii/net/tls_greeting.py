"""One accepted connection of a port with TLS, until its handshake is over (22 §3)."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Protocol

from iii.net.listening import in_url
from iii.net.per_turn import PerTurn
from iii.net.server_tls import ServerTls
from iii.net.tls_failures import TlsFailures
from iii.net.tls_transport import shake_hands
from iii.protocol.log_event import LogEvent

HANDSHAKE_FAILED = LogEvent(
    __name__, "tls.handshake_failed", logging.WARNING, "Connection closed: TLS handshake failed",
    means="A client speaks no TLS, does not trust the certificate, has none itself, or was silent. Logged once a minute for an address.",
    do="Look at `reason`; clients use `wss://` or `https://`, and trust the authority that signed the certificate.",
)  # fmt: skip

TLS_HANDSHAKE_S = 10.0  # Longest time from accepting a connection to the end of its TLS handshake.
_RECORD_HEAD_BYTES = 5
_HELLO_HEAD_BYTES = _RECORD_HEAD_BYTES + 4  # then the first message: its type and its length
_HANDSHAKE, _CLIENT_HELLO = 0x16, 0x01
_RECORD_BYTES = 16 * 1024
_READ_AWAY_BYTES = 64 * 1024
_HINT = "This port speaks TLS: use wss:// or https://"
_ANSWER = (
    f"HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.2\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(_HINT) + 1}\r\n"
    f"Connection: Upgrade, close\r\n\r\n{_HINT}\n"
).encode()


class Newcomer(Protocol):
    """A connection that may have to make room for others."""

    @property
    def silent_s(self) -> float:
        """Seconds since it was accepted, if it has not said what it wants."""

    def shut(self) -> None:
        """End it at once."""


class NoTls(Exception):
    """The first bytes are not those of a TLS client, or there are none; the text says which."""


class TlsGreeting:
    """Waits for the whole greeting of the client before anything is computed: what it costs is then known, and few are in one turn."""

    def __init__(self, accepted: socket.socket, pending: set[Newcomer], turns: PerTurn, failures: TlsFailures) -> None:
        self._accepted = accepted
        self._pending = pending
        self._turns = turns
        self._failures = failures
        self._loop = asyncio.get_running_loop()
        self._made_at = self._loop.time()
        self._readable: asyncio.Future[None] | None = None

    @property
    def silent_s(self) -> float:
        """A client that is not through with its handshake has said nothing."""
        return self._loop.time() - self._made_at

    def shut(self) -> None:
        self._pending.discard(self)
        try:
            self._accepted.shutdown(socket.SHUT_RDWR)  # it is being waited for, and that ends now
        except OSError:  # gone already
            pass

    async def shake_hands(self, tls: ServerTls, protocol: Callable[[], asyncio.BufferedProtocol]) -> None:
        """Until the protocol has the connection, or it is closed. Never raises for what clients do."""
        self._pending.add(self)
        peer = _peer_of(self._accepted)
        try:
            async with asyncio.timeout(TLS_HANDSHAKE_S):
                await self._greeting()
                await self._turns.next()
                await shake_hands(self._accepted, protocol(), tls.context, TLS_HANDSHAKE_S)
        except (OSError, NoTls) as error:  # SSLError and TimeoutError are among them
            self.shut()
            self._accepted.close()
            reason = reason_of(error)
            if self._failures.is_news(peer):
                HANDSHAKE_FAILED(address=peer, reason=reason)
        finally:
            self._pending.discard(self)

    async def _greeting(self) -> None:
        """The first record, which is left unread. Raises NoTls, OSError."""
        wanted = _HELLO_HEAD_BYTES
        while True:
            head = await self._peek(wanted)
            if head[:1] != bytes([_HANDSHAKE]):
                self._refuse(head)
            if len(head) < wanted:
                raise NoTls("the client closed the connection")
            whole = _RECORD_HEAD_BYTES + int.from_bytes(head[3:5], "big")
            message = _HELLO_HEAD_BYTES + int.from_bytes(head[6:9], "big")
            # In several records it could make us compute when it likes; no client does that
            if head[5] != _CLIENT_HELLO or message > whole or whole > _RECORD_BYTES:
                raise NoTls("the first record is not the greeting of a TLS client")
            if len(head) >= whole:
                return
            wanted = whole

    async def _peek(self, size: int) -> bytes:
        """As many bytes, fewer if no more will come, or if the first one is none of TLS."""
        accepted = self._accepted
        if size == _HELLO_HEAD_BYTES:
            await self._until_readable(accepted)
            head = accepted.recv(size, socket.MSG_PEEK)
            if len(head) == size or head[:1] != bytes([_HANDSHAKE]):
                return head
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
        try:
            await self._until_readable(accepted)
            return accepted.recv(size, socket.MSG_PEEK)
        finally:
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

    async def _until_readable(self, accepted: socket.socket) -> None:
        readable = self._loop.create_future()
        self._loop.add_reader(accepted, _set, readable)
        try:
            await readable
        finally:
            self._loop.remove_reader(accepted)

    def _refuse(self, head: bytes) -> None:
        """Say it in plain words to a client that speaks HTTP. Raises NoTls."""
        if not head:
            raise NoTls("the client closed the connection before it said anything")
        try:
            self._accepted.recv(_READ_AWAY_BYTES)  # what is unread at a close destroys the answer
            self._accepted.send(_ANSWER)
            self._accepted.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        raise NoTls("the first bytes are not TLS; clients must use wss:// or https://")


def reason_of(error: Exception) -> str:
    """What a handshake ended with, for people."""
    if isinstance(error, TimeoutError | ConnectionAbortedError):
        return f"the client did not finish the handshake within {TLS_HANDSHAKE_S:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the client's certificate was refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return str(error.reason or error).replace("_", " ").lower()
    if isinstance(error, NoTls):
        return str(error)
    return "the client closed the connection during the handshake"


def _set(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)


def _peer_of(accepted: socket.socket) -> str:
    try:
        address = accepted.getpeername()
    except OSError:  # gone already
        return ""
    return f"{in_url(address[0])}:{address[1]}"
