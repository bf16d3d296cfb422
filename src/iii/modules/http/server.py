"""An ASGI application behind a socket: what is known of granian stays in here."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.embed import Server as Embedded

from iii.modules.http.client import Receive, Send
from iii.modules.http.open_connections import Activity, HttpConnection, OpenConnections, Peer
from iii.modules.http.times import HTTP_TIMES, HttpTimes
from iii.net.descriptors import waiting
from iii.net.listening import BACKLOG
from iii.net.server_tls import ServerTls
from iii.net.tls_files import BadTlsFile, HeldFiles
from iii.protocol.log_event import LogEvent

CONNECTIONS_CUT = LogEvent(
    __name__, "http.connections_cut", logging.WARNING, "HTTP connections cut: their clients neither finished a request nor read an answer",
    means="The engine is stopping, and these clients did nothing for as long as it waits.",
)  # fmt: skip
STOP_OVERDUE = LogEvent(
    __name__, "http.stop_overdue", logging.ERROR, "HTTP server not stopped in time; its connections end with the process",
    means="The server did not notice in time that its connections were cut.",
    do="Report it, if it happens again.",
)  # fmt: skip
LOOK_FAILED = LogEvent(
    __name__, "http.look_failed", logging.DEBUG, "HTTP connections cannot be watched for now",
    means="No file is left to open for the look itself; the next look follows.",
)  # fmt: skip
LIMIT_REACHED = LogEvent(
    __name__, "http.connection_limit_reached", logging.WARNING,
    "HTTP connection limit reached; connections without a request are closed for further clients, the longest idle first",
    means="As many connections are open as the limit of open files leaves to the HTTP port.",
    do="Raise the limit of open files (`ulimit -n`), or lower `idle_timeout` of `iii-http`.",
)  # fmt: skip
BELOW_LIMIT = LogEvent(
    __name__, "http.below_connection_limit", logging.INFO, "HTTP connections below the limit again",
    means="Three quarters of the limit or fewer are open; shows how many were closed for others.",
)  # fmt: skip

RETIRED_S = 3600.0  # Longest time that an HTTP request may go on after the certificate of its connection was replaced.
_RETIRED_LOOK_S = 60.0
CUT_S = 1.0  # until granian has noticed that its connections were cut
REQUEST_HEAD_BYTES = 256 * 1024  # Longest head of an HTTP request.
_LOOK_MOST_S = 10.0
_LOOK_PER_DESCRIPTOR_S = 0.001  # so that looks take 1 % of the time, however many are open
_CUT_MOST = 1000  # in one go: some 15 ms; the next look sees the others
_ROOM = 16  # at the limit this part of the connections is made free at once, so that not each client must wait for it

# granian configures the log of the whole process; incrementally it leaves our handlers alone
_KEEP_OUR_LOG = {"incremental": True, "formatters": {}, "handlers": {}, "loggers": {}}

Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


class HttpServer:
    """Serves one listening socket until it is stopped.

    granian has a single deadline, for a request head and for the next one on an idle connection, and at its limit it
    only waits. So connections are watched from here: what is unfinished or idle for too long is ended, and at the limit
    those that do nothing make room for clients that want something.
    """

    def __init__(
        self,
        application: Application,
        at_work: Callable[[], Collection[Peer]],
        listening: socket.socket,
        idle_timeout_ms: int,
        connections: int,
        times: HttpTimes = HTTP_TIMES,
        tls: ServerTls | None = None,
    ) -> None:
        """
        Args:
            tls: its files are read now, and not again; None: connections are plain.
            at_work: clients whose requests the application has now.
            idle_timeout_ms: for a connection without a request.
            connections: open at most. Out of descriptors granian would not wait but spin.
        """
        self._address = listening.getsockname()
        self._watched = listening.dup()
        self._open = OpenConnections(self._address, at_work)
        self._idle_s = idle_timeout_ms / 1000
        self._most = connections
        self._times = times
        self._full = False
        self._closed = 0  # for others, since it is full
        deadline_ms = idle_timeout_ms + int(
            times.head_s * 1000
        )  # the head may begin when the connection is about to end
        self._server = _Embedded(application, listening, deadline_ms, connections, tls)
        self._serving: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._serving = loop.create_task(self._server.serve())
        if OpenConnections.known:
            self._watching = loop.create_task(self._watch())

    def another_socket(self) -> socket.socket:
        """For a server that takes over."""
        return self._watched.dup()

    async def retire(self) -> None:
        """Leave further connections to another server of the same port; requests at work end by themselves, or after an hour."""
        if self._watching is not None:
            self._watching.cancel()
        old = {each.peer for each in await self._open.look()} if OpenConnections.known else set()
        self._watched.close()
        assert self._serving is not None
        self._server.stop()  # type: ignore[no-untyped-call]
        late_at = time.monotonic() + RETIRED_S
        while not await _over(self._serving, _RETIRED_LOOK_S):
            found = [each for each in await self._open.look() if each.peer in old] if old else []
            old = {each.peer for each in found}
            if time.monotonic() >= late_at:
                self._open.cut(found)

    async def stop(self, limit_s: float) -> None:
        """Close the port and idle connections at once; cut after `limit_s` the connections that are still at work.

        Requests at work are ended by the application. granian alone would wait without a limit for half a request
        head and for a client that does not read (L4).
        """
        if self._watching is not None:
            self._watching.cancel()
        self._watched.close()
        if self._serving is None:
            return
        self._server.stop()  # type: ignore[no-untyped-call]
        if not await _over(self._serving, limit_s):
            cut = await self._open.cut_all()
            CONNECTIONS_CUT(connections=cut, limit_s=limit_s)
            if not await _over(self._serving, CUT_S):
                STOP_OVERDUE(limit_s=CUT_S)

    async def _watch(self) -> None:
        look_at = 0.0
        while True:
            await asyncio.sleep(self._times.waiting_look_s)
            wanted = waiting(self._watched)
            if not wanted and time.monotonic() < look_at:
                continue
            try:
                self._tidy(await self._open.look(), wanted)
            except OSError as error:  # no descriptor is left for the look itself
                LOOK_FAILED(reason=str(error))
            pause_s = max(self._times.look_s, self._open.looked_at * _LOOK_PER_DESCRIPTOR_S)
            look_at = time.monotonic() + min(pause_s, _LOOK_MOST_S)

    def _tidy(self, found: list[HttpConnection], wanted: int) -> None:
        """End what has had its time; if clients wait because all connections are taken, end what does nothing."""
        head_s, idle_s = self._times.head_s, self._idle_s
        late = {each for each in found if each.age_s >= (head_s if each.state is Activity.READING else idle_s)}
        ended = self._open.cut(late, _CUT_MOST)
        if wanted and len(found) >= self._most:
            if not self._full:
                self._full = True
                LIMIT_REACHED(port=self._address[1], limit=self._most)
            idle = [each for each in found if each.is_dispensable and each not in late]
            idle.sort(key=lambda each: (each.state, -each.age_s))
            self._closed += self._open.cut(idle, min(max(0, wanted + self._most // _ROOM - ended), _CUT_MOST))
        elif self._full and len(found) - ended <= self._most * 3 // 4:
            BELOW_LIMIT(port=self._address[1], closed=self._closed)
            self._full, self._closed = False, 0


async def _over(task: asyncio.Task[None], limit_s: float) -> bool:
    """Whether the task ended within that time; an error of it is raised."""
    done, _ = await asyncio.wait((task,), timeout=limit_s)
    for each in done:
        each.result()
    return bool(done)


class _Embedded(Embedded):
    """On a socket that is ours: granian's own would share a port that another process has (L2)."""

    def __init__(
        self,
        application: Application,
        listening: socket.socket,
        head_deadline_ms: int,
        connections: int,
        tls: ServerTls | None,
    ) -> None:
        super().__init__(
            application,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            log_enabled=False,
            log_dictconfig=_KEEP_OUR_LOG,
            backpressure=connections,
            http1_settings=HTTP1Settings(header_read_timeout=head_deadline_ms, max_buffer_size=REQUEST_HEAD_BYTES),
        )
        self._listening = listening
        self._held = None if tls is None else _held(tls)
        if tls is not None and self._held is not None:
            self.ssl_ctx = _tls_settings(tls, self._held)

    async def serve(self, *arguments: Any) -> None:
        try:
            await super().serve(*arguments)
        finally:
            if self._held is not None:
                self._held.close()

    def _init_shared_socket(self) -> None:
        if self._listening.fileno() < 0:  # granian would end the process
            raise OSError(errno.EBADF, "the listening socket is closed")
        self._ssp = None
        self._sfd = self._listening.detach()  # type: ignore[assignment]  # granian closes it
        self._shd = SocketHolder(self._sfd, False, BACKLOG)  # type: ignore[assignment,call-arg]


def _held(tls: ServerTls) -> HeldFiles:
    """Raises StartFailure: they have changed since they were checked, and are unusable."""
    try:
        return HeldFiles(tls.pair, tls.client_ca)
    except BadTlsFile as error:
        raise error.at_start() from None


def _tls_settings(tls: ServerTls, held: HeldFiles) -> tuple[Any, ...]:
    """What granian makes of its own settings; but it would check the files, and read them again later."""
    oldest = SSLProtocols.tls13 if tls.config.min_version == "1.3" else SSLProtocols.tls12
    return True, held.pair.cert, held.pair.key, None, str(oldest), held.client_ca, [], held.client_ca is not None
