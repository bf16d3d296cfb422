"""The sockets of the console: so many connections at most, and none for long that asks nothing (23 §2)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING

from iii.protocol.limits import CONSOLE_CONNECTIONS, CONSOLE_SILENT_S

if TYPE_CHECKING:
    from aiohttp import web

_LOOK_S = 1.0


class ConsolePort:
    """aiohttp itself waits without an end for the first request of a connection."""

    def __init__(self, server: web.Server, silent_s: float = CONSOLE_SILENT_S) -> None:
        self._server = server
        self._silent_s = silent_s
        self._silent: dict[asyncio.BaseProtocol, float] = {}  # since when; what has ended goes with the next look
        self._listening: list[asyncio.Server] = []
        self._watching: asyncio.Task[None] | None = None

    async def open(self, sockets: Sequence[socket.socket], context: ssl.SSLContext | None) -> None:
        """Serve these."""
        loop = asyncio.get_running_loop()
        handshake_s = None if context is None else self._silent_s
        for each in sockets:
            self._listening.append(
                await loop.create_server(
                    self._accepted, sock=each, ssl=context, ssl_handshake_timeout=handshake_s, start_serving=False
                )  # which does not wait: each of them has an owner, whenever this is cancelled
            )
        for server in self._listening:
            await server.start_serving()
        self._watching = loop.create_task(self._watch())

    def close(self) -> None:
        """Accept nothing more."""
        if self._watching is not None:
            self._watching.cancel()
        for each in self._listening:
            each.close()

    def asks(self, request: web.BaseRequest) -> None:
        """Its connection has sent a request."""
        self._silent.pop(request.protocol, None)

    def _accepted(self) -> asyncio.Protocol:
        if len(self._server.connections) >= CONSOLE_CONNECTIONS:
            return _Refused()
        handler = self._server()
        self._silent[handler] = asyncio.get_running_loop().time()
        return handler

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            before = asyncio.get_running_loop().time() - self._silent_s
            there = self._server.connections
            self._silent = {each: self._silent[each] for each in there if each in self._silent}
            for handler in there:
                if self._silent.get(handler, before) < before:
                    handler.force_close()


class _Refused(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
