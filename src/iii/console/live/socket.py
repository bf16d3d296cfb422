"""The WebSocket at which pages follow what they show (23 §6)."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from iii.console.live.page import LivePage
from iii.console.refusal import Refusal
from iii.protocol.limits import CONSOLE_PAGES
from iii.protocol.versions import PACKAGE_VERSION

if TYPE_CHECKING:
    from iii.console.application import Reception
    from iii.console.live.hub import FollowedTopics

PATH = "/ws/live"
LOGGED_OUT = 4401
SLOW = 1013
_REQUEST_BYTES = 64 * 1024
_HEARTBEAT_S = 25.0
_CLOSE_S = 1.0


class LiveSocket:
    """Of one application."""

    def __init__(self, reception: Reception, hub: FollowedTopics) -> None:
        self._reception = reception
        self._hub = hub
        self._pages: dict[LivePage, web.WebSocketResponse] = {}
        self.connected = True

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH, self._serve)]

    def engine(self, connected: bool) -> None:
        """It is there again, or no longer."""
        if connected != self.connected:
            self.connected = connected
            for page in self._pages:
                page.say({"t": "engine", "connected": connected})
            if connected:
                self._hub.look_now()

    async def close(self) -> None:
        """Nobody is served any more."""
        await asyncio.gather(*(socket.close(code=1001) for socket in list(self._pages.values())))

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        desk = self._reception.desk(request)
        if "Origin" not in request.headers and desk.visitor.csrf is not None:
            raise Refusal(403, "the request has no Origin header", "FOREIGN_ORIGIN")
        if len(self._pages) >= CONSOLE_PAGES:
            raise Refusal(503, f"{CONSOLE_PAGES} pages are open already; close one", "TOO_MANY", retry_after_s=30)
        socket = web.WebSocketResponse(
            heartbeat=_HEARTBEAT_S, max_msg_size=_REQUEST_BYTES, compress=False, timeout=_CLOSE_S
        )
        try:
            may_be = socket.can_prepare(request).ok
        except ValueError:  # its headers are not even ASCII
            may_be = False
        if not may_be:
            raise Refusal(426, "this path is for WebSockets", "NO_WEBSOCKET")
        await socket.prepare(request)
        page = LivePage(self._hub, desk, socket.send_str)
        self._pages[page] = socket
        logged_out = asyncio.Event()
        forget = desk.visitor.when_ended(logged_out.set)
        page.say(self._hello())
        tasks = [asyncio.ensure_future(each) for each in (_listen(socket, page), page.tell(), logged_out.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._pages[page]
            forget()
            page.end()
            slow = tasks[1].done() and isinstance(tasks[1].exception(), TimeoutError)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        code = LOGGED_OUT if logged_out.is_set() else SLOW if slow else 1000
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await socket.close(code=code, message=b"logged out" if logged_out.is_set() else b"")
        if slow and request.transport is not None:
            request.transport.abort()
        return socket

    def _hello(self) -> dict[str, Any]:
        now_ms = int(time.time() * 1000)
        return {"t": "hello", "version": PACKAGE_VERSION, "now": now_ms, "engine": {"connected": self.connected}}


async def _listen(socket: web.WebSocketResponse, page: LivePage) -> None:
    """Until the page leaves."""
    async for message in socket:
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            page.take(message.data)
