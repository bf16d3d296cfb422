"""A cable between two engines that a test can cut: bytes of a TCP port, handed on to another one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_PIECE_BYTES = 65_536


class Cable:
    """Leads to one port of this machine.

    Attributes:
        port: the near end.
    """

    def __init__(self, far_port: int) -> None:
        self.port = 0
        self._far_port = far_port
        self._whole = asyncio.Event()
        self._whole.set()
        self._refuses = False
        self._pairs: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[Cable]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self._hang_up()

    def cut(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        self._whole.clear()

    def tear(self) -> None:
        """Connections end, and new ones do."""
        self._refuses = True
        self._hang_up()

    def mend(self) -> None:
        """What was sent meanwhile arrives, unless its connection has ended."""
        self._refuses = False
        self._whole.set()

    def _hang_up(self) -> None:
        for pair in self._pairs:
            pair.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = asyncio.current_task()
        assert pair is not None
        self._pairs.add(pair)
        far_writer: asyncio.StreamWriter | None = None
        try:
            if not self._refuses:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._far_port)
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._carry(reader, far_writer))
                    both.create_task(self._carry(far_reader, writer))
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            pass  # either end has gone, or the cable
        finally:
            self._pairs.discard(pair)
            for each in (writer, far_writer):
                if each is not None:
                    with suppress(OSError):
                        each.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_PIECE_BYTES):
            await self._whole.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionError("one end has hung up")
