"""One end of a channel on the wire: a connection, and what came on it (08 §14)."""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress

from iii.net.connection import Connection, ConnectionHandler
from iii.net.frames import BINARY, TEXT
from iii.protocol.limits import HANDSHAKE_TIMEOUT_MS, MIB
from iii.sdk.client_tls import ClientTls
from iii.sdk.in_process import ChannelConnection
from iii.sdk.outbox import DirectOutbox
from iii.sdk.outgoing import open_websocket

UNREAD_BYTES = 1 * MIB  # Most bytes of a channel that the SDK receives before a program reads them.


class ChannelWire(ConnectionHandler[DirectOutbox]):
    """One end's connection; `changed` is set whenever something happened."""

    connection: ChannelConnection

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.items: deque[tuple[bool, bytes]] = deque()  # whether it is a text, and what came
        self.close: tuple[int, str] | None = None  # what the engine said at the end
        self.finished = False
        self._unread_bytes = 0
        self._reads = True

    async def open(self, address: str, headers: Mapping[str, str], tls: ClientTls | None) -> None:
        """Connect. Raises whatever went wrong."""
        connection = self.connection = Connection(self, DirectOutbox)
        await open_websocket(connection, address, headers, HANDSHAKE_TIMEOUT_MS / 1000, tls)

    def text(self, message: bytes, /) -> None:
        self._put(True, message)

    def binary(self, message: bytes, /) -> None:
        self._put(False, message)

    def peer_closed(self, code: int | None, reason: str) -> None:
        self.close = (code or 0, reason)
        self.changed.set()

    def resumed(self) -> None:
        self.changed.set()

    def gone(self) -> None:
        self.finished = True
        self.changed.set()

    @property
    def over(self) -> bool:
        """Whether the engine has said so, or the connection has ended."""
        return self.finished or self.close is not None

    def take(self) -> tuple[bool, bytes]:
        item = self.items.popleft()
        self._unread_bytes -= len(item[1])
        if not self._reads and self._unread_bytes <= UNREAD_BYTES // 2:
            self._reads = True
            self.connection.inbox.resume()
        return item

    async def sent(self, data: bytes, *, is_text: bool) -> bool:
        """Send one message, as soon as the other end has room for it. False: it is over."""
        outbox = self.connection.outbox
        while outbox.paused and not self.over:
            await self.wait()
        if self.over:
            return False
        outbox.write(data, TEXT if is_text else BINARY)
        return True

    async def finishes_within(self, limit_s: float) -> bool:
        """Whether the connection has ended by then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while not self.finished:
                    await self.wait()
        return self.finished

    async def wait(self) -> None:
        await self.changed.wait()
        self.changed.clear()

    def _put(self, is_text: bool, message: bytes) -> None:
        self.items.append((is_text, message))
        self._unread_bytes += len(message)
        if self._reads and self._unread_bytes > UNREAD_BYTES:
            self._reads = False
            self.connection.inbox.pause()
        self.changed.set()
