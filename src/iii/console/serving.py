"""The port of the console: the same for the module of an engine and for `iii console` (23 §1)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from aiohttp import web

from iii.console.api import action_routes, backend_routes, letter_routes, list_routes
from iii.console.application import Reception, application
from iii.console.assets import FOLDER
from iii.console.audit import Audit
from iii.console.calls import CallRoutes
from iii.console.config import ConsoleConfig
from iii.console.gate import ConsoleGate
from iii.console.live.hub import FollowedTopics
from iii.console.live.socket import LiveSocket
from iii.console.live.topics import topics_of
from iii.console.logging_in import ConsolePlace, EngineSeen, LoggingIn
from iii.console.logins import LoginRoutes
from iii.console.pages import PageRoutes
from iii.console.port import ConsolePort
from iii.console.proxy import Proxy
from iii.console.sessions import Sessions
from iii.console.visitor import Admitting
from iii.net.listening import in_url, listen, port_of
from iii.net.picows_side import TlsClient
from iii.net.server_tls import server_tls
from iii.protocol.versions import PACKAGE_VERSION

STOP_S = 1.0
_EXPIRED_S = 1.0  # after which a login that nobody uses ends at the latest


class EnginePlace(NamedTuple):
    """Where the engine is, for pages.

    Attributes:
        http_port, stream_port: None: nothing is served there.
        http_tls, stream_tls: how connections to them are encrypted; None: they are plain.
    """

    mode: Literal["module", "remote"]
    url: str
    host: str
    http_port: int | None
    stream_port: int | None
    http_tls: TlsClient | None = None
    stream_tls: TlsClient | None = None


class ConsoleServer:
    """Attributes:
    audit: what was done.
    opening: what `begin` has begun, at work or done.
    tls: None: connections are plain.
    port: once it is open.
    """

    def __init__(
        self, config: ConsoleConfig, entrance: Admitting, place: Callable[[], EnginePlace], folder: Path = FOLDER
    ) -> None:
        self._config = config
        self._place = place
        self.tls = server_tls(config.tls, "iii-console")
        self.host = config.host
        self.port = config.port
        self.audit = Audit()
        self.sessions = Sessions(config.session_seconds, time.monotonic)
        gate = ConsoleGate([config.host, *config.allowed_hosts])
        self._reception = Reception(gate, entrance, self.sessions, self.audit, lambda: f"iii_console_{self.port}")
        self.live = LiveSocket(self._reception, FollowedTopics(topics_of(self.audit)))
        self._proxy = Proxy(self._reception, place)
        self._pages = PageRoutes(folder, self.told_to_pages)
        self.opening: asyncio.Task[None] | None = None
        self._runner: web.AppRunner | None = None
        self._port: ConsolePort | None = None
        self._expiring: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://{in_url(self.host)}:{self.port}"

    async def begin(self, limit_s: float) -> asyncio.Task[None]:
        """Open; a port that has to be waited for holds nobody up for longer than this. `close` ends what goes on."""
        opening = self.opening = asyncio.get_running_loop().create_task(self.open())
        await asyncio.wait((opening,), timeout=limit_s)
        return opening

    async def open(self) -> None:
        """Raises StartFailure: the port cannot be had."""
        reception = self._reception
        routes = [
            *LoggingIn(reception, self._described).routes(),
            *LoginRoutes(reception).routes(),
            *CallRoutes(reception).routes(),
            *backend_routes(reception),
            *list_routes(reception),
            *letter_routes(reception),
            *action_routes(reception),
            *self.live.routes(),
            *self._proxy.routes(),
            *self._pages.routes(),
        ]
        runner = self._runner = web.AppRunner(
            application(reception, routes, self._asks),
            access_log=None,
            shutdown_timeout=STOP_S,
            handler_cancellation=True,
        )
        await runner.setup()
        assert runner.server is not None  # since it is set up
        sockets = await listen(self.host, self.port)  # nothing can end this between here and the next line
        self.port = port_of(sockets[0])
        self._port = ConsolePort(runner.server)
        self._port.open(sockets, None if self.tls is None else self.tls.following())
        self._expiring = asyncio.get_running_loop().create_task(self._expire())

    async def _expire(self) -> None:
        """Pages that only listen are told that their login has ended, whether anybody asks anything or not."""
        while True:
            await asyncio.sleep(_EXPIRED_S)
            self.sessions.expire()

    def _asks(self, request: web.Request) -> None:
        if self._port is not None:
            self._port.asks(request)

    async def close(self) -> None:
        """End logins and pages, and what is asked now."""
        if self.opening is not None:
            self.opening.cancel()
            await asyncio.gather(self.opening, return_exceptions=True)
        if self._expiring is not None:
            self._expiring.cancel()
        self.sessions.end_all()
        await self.live.close()
        if self._port is not None:
            await self._port.close()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._proxy.close()

    def told_to_pages(self) -> dict[str, object]:
        """`/api/config` (23 §2)."""
        place = self._place()
        return {
            "basePath": "/",
            "engineHost": place.host,
            "enginePort": place.http_port,
            "wsPort": place.stream_port,
            "consolePort": self.port,
            "version": PACKAGE_VERSION,
            "enableFlow": self._config.enable_flow,
        }

    def _described(self) -> ConsolePlace:
        place = self._place()
        return ConsolePlace(place.mode, EngineSeen(self.live.connected, place.url))
