"""The sockets of a small HTTP port: so many connections at most, and none for long that asks nothing (16 §5, 23 §2)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from iii.protocol.limits import ACCEPT_ERROR_PAUSE_S

if TYPE_CHECKING:
    from aiohttp import web

_LOOK_S = 1.0


class HttpPort:
    """aiohttp itself waits without an end for the first request of a connection, and asyncio's server counts nobody who is at
    the handshake of TLS. Further requests have the `keepalive_timeout` of the runner.

    `connections` is how many there may be; `silent_s` how long a connection may take for its first request.
    """

    def __init__(self, server: web.Server, connections: int, silent_s: float) -> None:
        self._server = server
        self._most = connections
        self._silent_s = silent_s
        self._silent: dict[asyncio.BaseProtocol, float] = {}  # since when; what has ended goes with the next look
        self._greeting: dict[asyncio.Task[None], asyncio.BaseProtocol] = {}
        self._listening: list[socket.socket] = []
        self._context: ssl.SSLContext | None = None
        self._watching: asyncio.Task[None] | None = None

    def open(self, sockets: Sequence[socket.socket], context: ssl.SSLContext | None = None) -> None:
        """Serve these."""
        self._loop = asyncio.get_running_loop()
        self._context = context
        self._listening = list(sockets)
        for each in sockets:
            each.setblocking(False)
            self._resume(each)
        self._watching = self._loop.create_task(self._watch())

    async def close(self) -> None:
        """Accept nothing more."""
        for each in self._listening:
            self._loop.remove_reader(each)
            each.close()
        self._listening.clear()
        ending = list(self._greeting) if self._watching is None else [self._watching, *self._greeting]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    def asks(self, request: web.BaseRequest) -> None:
        """Its connection has sent a request."""
        self._silent.pop(request.protocol, None)

    def _resume(self, listening: socket.socket) -> None:
        if listening in self._listening:
            self._loop.add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        """One of those who wait; then others get a turn."""
        try:
            accepted, _ = listening.accept()
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # such as too many open files: who waits is let in later
            self._loop.remove_reader(listening)
            self._loop.call_later(ACCEPT_ERROR_PAUSE_S, self._resume, listening)
            return
        if len(self._server.connections) + len(self._greeting) >= self._most:
            accepted.close()
            return
        accepted.setblocking(False)
        handler = self._server()
        self._silent[handler] = self._loop.time()
        task = self._loop.create_task(self._let_in(accepted, handler))
        self._greeting[task] = handler
        task.add_done_callback(partial(self._greeted, accepted))

    def _greeted(self, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        del self._greeting[task]
        if task.cancelled():
            accepted.close()  # perhaps it was not begun

    async def _let_in(self, accepted: socket.socket, handler: asyncio.Protocol) -> None:
        limit_s = None if self._context is None else self._silent_s
        try:
            await self._loop.connect_accepted_socket(
                lambda: handler, accepted, ssl=self._context, ssl_handshake_timeout=limit_s
            )
        except OSError:  # gone already, or it does not speak TLS
            accepted.close()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            before = self._loop.time() - self._silent_s
            there = self._server.connections
            known = {*there, *self._greeting.values()}
            self._silent = {each: since for each, since in self._silent.items() if each in known}
            for handler in there:
                if self._silent.get(handler, before) < before:
                    handler.force_close()
