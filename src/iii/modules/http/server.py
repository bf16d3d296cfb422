"""An ASGI application behind a socket: what is known of granian stays in here (EXPERIMENTS §2)."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server as Embedded

from iii.modules.http.client import Receive, Send
from iii.net.descriptors import waiting
from iii.net.listening import BACKLOG

logger = logging.getLogger(__name__)

CUT_S = 1.0  # until granian has noticed that its connections were cut
HEAD_BYTES = 256 * 1024
LOOK_S = 1.0  # between two looks at how many clients wait to be accepted

# granian configures the log of the whole process; incrementally it leaves our handlers alone
_KEEP_OUR_LOG = {"incremental": True, "formatters": {}, "handlers": {}, "loggers": {}}

Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


class HttpServer:
    """Serves one listening socket until it is stopped."""

    def __init__(
        self, application: Application, listening: socket.socket, idle_timeout_ms: int, connections: int
    ) -> None:
        """
        Args:
            idle_timeout_ms: for a request head, and for the next one on an idle connection.
            connections: open at most; further clients wait. Out of descriptors granian would not wait but spin.
        """
        self._address = listening.getsockname()
        self._watched = listening.dup()
        self._connections_most = connections
        self._full_looks = 0
        self._look: asyncio.TimerHandle | None = None
        self._server = _Embedded(application, listening, idle_timeout_ms, connections)
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._serving = loop.create_task(self._server.serve())
        self._look = loop.call_later(LOOK_S, self._look_at_clients)

    async def stop(self, limit_s: float) -> None:
        """Close the port and idle connections at once; cut after `limit_s` the connections that are still at work.

        Requests at work are ended by the application. granian alone would wait without a limit for half a request
        head and for a client that does not read (L4).
        """
        self._watched.close()
        if self._serving is None or self._look is None:
            return
        self._look.cancel()
        self._server.stop()  # type: ignore[no-untyped-call]
        if not await _over(self._serving, limit_s):
            cut = self._cut()
            logger.warning(
                "HTTP connections cut: %s clients neither finished their request nor read their answer within %g s",
                cut, limit_s,
            )  # fmt: skip
            if not await _over(self._serving, CUT_S):
                logger.error("HTTP server did not stop within %g s; its connections are left to the process", CUT_S)

    def _look_at_clients(self) -> None:
        self._look = asyncio.get_running_loop().call_later(LOOK_S, self._look_at_clients)
        self._full_looks = self._full_looks + 1 if waiting(self._watched) else 0
        if self._full_looks == 2:  # not only at the moment of the look
            logger.warning(
                "HTTP connections not accepted at port %s: %s are open, which is the limit; further clients wait",
                self._address[1], self._connections_most,
            )  # fmt: skip

    def _cut(self) -> int:
        """End the accepted connections; how many. granian keeps them to itself, but the system knows them."""
        cut = 0
        for name in os.listdir("/dev/fd"):
            try:
                each = socket.socket(fileno=int(name))
            except OSError:  # no socket, or just closed
                continue
            if self._is_ours(each):
                cut += 1
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            each.detach()  # it stays granian's
        return cut

    def _is_ours(self, each: socket.socket) -> bool:
        host, port = self._address[:2]
        try:
            address = each.getsockname()
            listens = each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError:
            return False
        return (
            each.family in (socket.AF_INET, socket.AF_INET6)
            and address[1] == port
            and host in (address[0], "0.0.0.0", "::")
            and not listens
        )


async def _over(task: asyncio.Task[None], limit_s: float) -> bool:
    """Whether the task ended within that time; an error of it is raised."""
    done, _ = await asyncio.wait((task,), timeout=limit_s)
    for each in done:
        each.result()
    return bool(done)


class _Embedded(Embedded):
    """On a socket that is ours: granian's own would share a port that another process has (L2)."""

    def __init__(
        self, application: Application, listening: socket.socket, idle_timeout_ms: int, connections: int
    ) -> None:
        super().__init__(
            application,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            log_enabled=False,
            log_dictconfig=_KEEP_OUR_LOG,
            backpressure=connections,
            http1_settings=HTTP1Settings(header_read_timeout=idle_timeout_ms, max_buffer_size=HEAD_BYTES),
        )
        self._listening = listening

    def _init_shared_socket(self) -> None:
        self._ssp = None
        self._sfd = self._listening.detach()  # type: ignore[assignment]  # granian closes it
        self._shd = SocketHolder(self._sfd, False, BACKLOG)  # type: ignore[assignment,call-arg]
