"""One WebSocket to the engine: its messages, and whether the other end still lives. All of it runs on the loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from iii.net.connection import Connection, ConnectionHandler
from iii.protocol.limits import HANDSHAKE_TIMEOUT_MS, PING_INTERVAL_S, SILENCE_S
from iii.protocol.log_event import LogEvent
from iii.sdk.backlog import Backlog
from iii.sdk.outbox import ThreadOutbox
from iii.sdk.outgoing import open_websocket

if TYPE_CHECKING:
    from iii.sdk.client_tls import ClientTls

WRITTEN_LOST = LogEvent(
    "iii.sdk", "sdk.written_lost", logging.WARNING, "Connection lost while the engine was not reading; the last messages may be lost",
    means="Messages that were handed to the system, but perhaps never read. All others are sent on the next connection.",
    do="If it happens again, look for what slows the engine or the network down.",
)  # fmt: skip
ENGINE_SILENT = LogEvent(
    "iii.sdk", "sdk.engine_silent", logging.WARNING, "No sign of life from the engine; reconnecting",
    means="The engine answered no ping: its machine or the network is gone, or it hangs.",
    do="Look at the engine and at what lies between: proxies and firewalls drop connections silently.",
)  # fmt: skip

SILENT_PINGS = int(SILENCE_S // PING_INTERVAL_S)
CLOSE_S = 2.0  # for the engine to take what is left


class EngineLink(ConnectionHandler[ThreadOutbox]):
    """The client's end.

    Attributes:
        outbox: None until it is connected.
        over: set when it has ended.
    """

    text: Callable[[bytes], None]
    binary: Callable[[bytes], None]

    def __init__(
        self,
        connected: Callable[[EngineLink, ThreadOutbox], None],
        received: Callable[[bytes], None],
        disconnected: Callable[[EngineLink, ThreadOutbox, str], None],
        backlog: Backlog,
        call_soon: Callable[[Callable[[], None]], object],
    ) -> None:
        self.text = self.binary = received
        self.connection = Connection(self, partial(ThreadOutbox, backlog=backlog, call_soon=call_soon))
        self.outbox: ThreadOutbox | None = None
        self.over = asyncio.Event()
        self._connected = connected
        self._disconnected = disconnected
        self._abandoned = False
        self._heard_before = False
        self._silent_pings = 0
        self._last_words = "closed without a Close frame"

    async def open(self, url: str, headers: Mapping[str, str], tls: ClientTls | None) -> None:
        """Connect. Raises TimeoutError, or whatever went wrong; a redirect is an error."""
        await open_websocket(self.connection, url, headers, HANDSHAKE_TIMEOUT_MS / 1000, tls)
        if self.outbox is None:  # the library takes an end before the answer for a success
            doubt = "" if tls is None else tls.doubt(url)
            raise ConnectionError(f"the connection ended during the handshake{doubt}")

    def opened(self, connection: Connection[ThreadOutbox]) -> None:
        if self._abandoned:
            connection.abort()
        else:
            self.outbox = connection.outbox
            self._connected(self, self.outbox)

    def peer_closed(self, code: int | None, reason: str) -> None:
        self._last_words = f"closed by the engine with code {code or 0}{f': {reason}' if reason else ''}"

    def gone(self) -> None:
        outbox = self.outbox
        if outbox is None:
            return
        if outbox.paused and outbox.written_bytes:  # all else of what waits is kept for the next connection
            WRITTEN_LOST(at_most_bytes=outbox.written_bytes)
        self._disconnected(self, outbox, self._last_words)
        self.over.set()

    @property
    def heard_ever(self) -> bool:
        """Whether the engine said anything; only then the attempt that led here was a success."""
        return self.connection.heard or self._heard_before

    def write_aside(self, message: bytes) -> bool:
        """As the outbox."""
        return self.outbox is not None and self.outbox.write_aside(message)

    async def keep_alive(self) -> None:
        """Ping until cancelled."""
        while True:
            await asyncio.sleep(PING_INTERVAL_S)
            self.ping()

    def ping(self) -> None:
        """Ask for a sign of life; end a socket from which nothing came for `SILENCE_S`.

        Counted in pings and not by the clock: a loop that was blocked for a minute must not take itself for silence.
        """
        if self.outbox is None or self.outbox.closed:
            return
        heard = self.connection.heard
        self._silent_pings = 0 if heard else self._silent_pings + 1
        self._heard_before |= heard
        if self._silent_pings >= SILENT_PINGS:
            ENGINE_SILENT(silent_s=int(SILENCE_S))
            self.abort()
        else:
            self.connection.ping()

    def close(self, code: int) -> None:
        """Say goodbye after what has gathered, then end TCP."""
        if self.outbox is not None:
            self.connection.leave(code, CLOSE_S)

    def abandon(self) -> None:
        """Nobody waits for this connection any more; should it still come up, it is ended at once."""
        self._abandoned = True
        self.abort()

    def abort(self) -> None:
        """End TCP at once."""
        if self.outbox is not None:
            self.connection.abort()

    def end_after_fork(self, backlog: Backlog) -> None:
        """In a forked child."""
        if self.outbox is not None:
            self.outbox.end_after_fork(backlog)
