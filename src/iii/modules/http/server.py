"""An ASGI application behind a socket: what is known of granian stays in here (EXPERIMENTS §2)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server as Embedded

from iii.modules.http.client import Receive, Send
from iii.net.listening import BACKLOG

HEAD_DEADLINE_MS = 30_000  # for a request head, and for the next one on an idle connection
HEAD_BYTES = 256 * 1024
CONNECTIONS = 1_000_000  # the system's limit of open files is the one that counts

# granian configures the log of the whole process; incrementally it leaves our handlers alone
_KEEP_OUR_LOG = {"incremental": True, "formatters": {}, "handlers": {}, "loggers": {}}

Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


class HttpServer:
    """Serves one listening socket until it is stopped."""

    def __init__(self, application: Application, listening: socket.socket) -> None:
        self._server = _Embedded(application, listening)
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._serving = asyncio.get_running_loop().create_task(self._server.serve())

    async def stop(self) -> None:
        """Close the port and idle connections; requests at work are let finish by whoever waits for them."""
        if self._serving is not None:
            self._server.stop()  # type: ignore[no-untyped-call]
            await self._serving


class _Embedded(Embedded):
    """On a socket that is ours: granian's own would share a port that another process has (L2)."""

    def __init__(self, application: Application, listening: socket.socket) -> None:
        super().__init__(
            application,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            log_enabled=False,
            log_dictconfig=_KEEP_OUR_LOG,
            backlog=CONNECTIONS,
            backpressure=CONNECTIONS,
            http1_settings=HTTP1Settings(header_read_timeout=HEAD_DEADLINE_MS, max_buffer_size=HEAD_BYTES),
        )
        self._listening = listening

    def _init_shared_socket(self) -> None:
        self._ssp = None
        self._sfd = self._listening.detach()  # type: ignore[assignment]  # granian closes it
        self._shd = SocketHolder(self._sfd, False, BACKLOG)  # type: ignore[assignment,call-arg]
