"""What answers at the port of the console: the same for the module of an engine and for `iii console` (23 §1).

aiohttp takes longer to import than everything else that an engine starts with: its start does without this room.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from iii.console.api import action_routes, backend_routes, letter_routes, list_routes
from iii.console.application import Reception, application
from iii.console.assets import FOLDER
from iii.console.calls import CallRoutes
from iii.console.config import ConsoleConfig
from iii.console.engine_place import address_of
from iii.console.gate import ConsoleGate
from iii.console.live.hub import FollowedTopics
from iii.console.live.socket import LiveSocket
from iii.console.live.topics import topics_of
from iii.console.logging_in import ConsolePlace, EngineSeen, LoggingIn
from iii.console.logins import LoginRoutes
from iii.console.pages import PageRoutes
from iii.console.proxy import Proxy
from iii.console.sessions import Sessions
from iii.console.visitor import Admitting
from iii.net.http_log import HttpLog
from iii.net.http_port import HttpPort
from iii.net.listening import port_of
from iii.protocol.limits import CONSOLE_CONNECTIONS, CONSOLE_SILENT_S, KEPT_ALIVE_S
from iii.protocol.versions import PACKAGE_VERSION

if TYPE_CHECKING:
    from iii.console.audit import Audit
    from iii.console.engine_place import EnginePlace
    from iii.net.server_tls import ServerTls

STOP_S = 1.0
_EXPIRED_S = 1.0  # after which a login that nobody uses ends at the latest


class ConsoleServer:
    """Attributes:
    audit: what was done.
    tls: None: connections are plain.
    port: once it is open.
    """

    def __init__(
        self,
        config: ConsoleConfig,
        entrance: Admitting,
        place: Callable[[], EnginePlace],
        audit: Audit,
        tls: ServerTls | None = None,
        folder: Path = FOLDER,
    ) -> None:
        self._config = config
        self._place = place
        self._tls = tls
        self.port = config.port
        self.audit = audit
        self.sessions = Sessions(config.session_seconds, time.monotonic)
        gate = ConsoleGate([config.host, *config.allowed_hosts])
        self._reception = Reception(gate, entrance, self.sessions, self.audit, lambda: f"iii_console_{self.port}")
        self.live = LiveSocket(self._reception, FollowedTopics(topics_of(self.audit)))
        self._proxy = Proxy(self._reception, place)
        self._pages = PageRoutes(folder, self.told_to_pages)
        self._runner: web.AppRunner | None = None
        self._port: HttpPort | None = None
        self._expiring: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        return address_of(self._config.host, self.port, self._tls)

    async def open(self, sockets: Sequence[socket.socket]) -> None:
        """Serve these, which listen already; they are its own from the end on."""
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
            logger=HttpLog(),
            shutdown_timeout=STOP_S,
            handler_cancellation=True,
            keepalive_timeout=KEPT_ALIVE_S,
        )
        await runner.setup()
        assert runner.server is not None  # since it is set up
        self.port = port_of(sockets[0])
        self._port = HttpPort(runner.server, CONSOLE_CONNECTIONS, CONSOLE_SILENT_S)
        self._port.open(sockets, None if self._tls is None else self._tls.following())
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
