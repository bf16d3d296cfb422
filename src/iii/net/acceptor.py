"""One listening address: its port, and connections until each is a WebSocket or answered (L1, L2, 01 §1)."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time

from iii.net import descriptors
from iii.net.http_upgrade import HttpUpgrade, Route
from iii.net.keepalive import Connections
from iii.net.listening import in_url, listen, port_of
from iii.net.per_turn import PerTurn
from iii.net.server_tls import ServerTls
from iii.net.tls_failures import TlsFailures
from iii.net.tls_greeting import Newcomer, TlsGreeting
from iii.protocol.limits import ACCEPT_ERROR_PAUSE_S
from iii.protocol.log_event import LogEvent
from iii.protocol.measurement import Measurement

NOT_ACCEPTED = LogEvent(
    __name__, "connection.not_accepted", logging.WARNING, "Connections not accepted for now",
    means="The limit of open files is reached, or the system refuses; clients wait, and silent connections are closed for them.",
    do="Raise the limit of open files (`ulimit -n`).",
)  # fmt: skip
ACCEPTED_AGAIN = LogEvent(
    __name__, "connection.accepted_again", logging.INFO, "Connections accepted again",
    means="All clients that waited for `connection.not_accepted` to pass are connected.",
)  # fmt: skip
LOST_EARLY = LogEvent(
    __name__, "connection.lost_early", logging.DEBUG, "Connection lost while it was accepted",
    means="A client connected and was gone at once.",
)  # fmt: skip

_ACCEPTED_AT_ONCE = 100  # then others get a turn of the loop
_HANDSHAKES_AT_ONCE = 1  # a signature with a large RSA key takes 5 ms, and 20 on a busy machine
_SILENT_S = 1.0  # without a byte; at the limit such a connection makes room for others
_NOT_OUR_FAULT = (errno.ECONNRESET, errno.ECONNABORTED, errno.ECONNREFUSED, errno.EPROTO)


class Acceptor:
    """Accepts connections at one address until it is stopped; `route` says what becomes of their requests.

    Attributes:
        tls: of connections that come now; None: they are plain.
    """

    def __init__(
        self,
        host: str,
        port: int,
        handshake_timeout_s: float,
        route: Route,
        share: float = 1.0,
        tls: ServerTls | None = None,
    ) -> None:
        """`share`: of the open files that are left to WebSockets; beyond it others go first (`descriptors.scarce`)."""
        self.tls = tls
        self._share = share
        self.host = host
        self.port = port  # once open, the one that the system chose for 0
        self._handshake_timeout_s = handshake_timeout_s
        self._route = route
        self.connections = Connections()
        self._bound: list[socket.socket] = []
        self._pending: set[Newcomer] = set()
        self._accepting: set[asyncio.Task[None]] = set()
        self._pauses = False  # it accepts nothing for now
        self._tls_failures = TlsFailures(time.monotonic)

    @property
    def address(self) -> str:
        return f"{in_url(self.host)}:{self.port}"

    @property
    def url(self) -> str:
        """Where WebSocket clients connect to."""
        return f"{'ws' if self.tls is None else 'wss'}://{self.address}"

    @property
    def open_sockets(self) -> int:
        """Accepted connections, WebSocket or not yet."""
        return len(self.connections) + len(self._pending) + len(self._accepting)

    async def renew(self) -> None:
        """Look whether its certificate has changed."""
        if self.tls is not None:
            await self.tls.renew()

    def wait_for_heads(self, limit_s: float) -> None:
        """How long further connections may take for their request."""
        self._handshake_timeout_s = limit_s

    def measure(self, listener: str) -> list[Measurement]:
        """Its connections, and the bytes on those that are WebSockets, under that name."""
        if not self._bound:
            return []
        name, connections = ("listener", listener), self.connections
        directions = {"in": connections.read_turns.read_bytes, "out": connections.sent_bytes}
        found = [
            Measurement(
                "iii.connections", "{connection}", "gauge", "Connections of a port, workers or not.",
                [((name,), self.open_sockets)],
            ),
            Measurement(
                "iii.connection.io", "By", "counter", "Bytes of WebSockets, frames included.",
                [((name, ("direction", direction)), count) for direction, count in directions.items()],
            ),
        ]  # fmt: skip
        if self.tls is not None or self._tls_failures.count:
            found.append(
                Measurement(
                    "iii.connection.tls_failures", "{connection}", "counter", "TLS handshakes that failed.",
                    [((name,), self._tls_failures.count)],
                )
            )  # fmt: skip
        return found

    async def open(self) -> None:
        """Bind and accept. Raises StartFailure if the address cannot be had (L2)."""
        self._loop = asyncio.get_running_loop()
        self._handshakes = PerTurn(_HANDSHAKES_AT_ONCE)
        self._bound = await listen(self.host, self.port)
        self.port = port_of(self._bound[0])
        self.connections.begin()
        for bound in self._bound:
            self._loop.add_reader(bound, self._accept, bound)

    def stop_accepting(self) -> None:
        """Close the port, then what is no WebSocket yet: nobody may be accepted and then dropped (01 §2.4)."""
        bound, self._bound = self._bound, []
        for each in bound:
            self._loop.remove_reader(each)
            each.close()
        self._abort_pending()

    async def close(self) -> None:
        """End all connections (L6)."""
        self.stop_accepting()
        await self.connections.end_all()

    # -- accept ---------------------------------------------------------------------------------------------------

    def _accept(self, bound: socket.socket) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            if descriptors.scarce(bound.fileno(), self._share):
                self._pause(
                    bound, f"the limit of {descriptors.limit()} open files is reached; some are reserved for stores"
                )
                return
            try:
                accepted, _ = bound.accept()
            except (BlockingIOError, InterruptedError):
                if self._pauses:  # none waits any more
                    self._pauses = False
                    ACCEPTED_AGAIN(address=self.address)
                return
            except OSError as error:
                if error.errno not in _NOT_OUR_FAULT:
                    self._pause(bound, str(error.strerror))
                    return
                continue
            accepted.setblocking(False)
            task = self._loop.create_task(self._let_in(accepted))
            self._accepting.add(task)
            task.add_done_callback(self._accepting.discard)

    async def _let_in(self, accepted: socket.socket) -> None:
        try:
            if self.tls is None:
                await self._loop.connect_accepted_socket(self._http_upgrade, accepted)
            else:
                greeting = TlsGreeting(accepted, self._pending, self._handshakes, self._tls_failures)
                await greeting.shake_hands(self.tls, self._http_upgrade)
        except OSError as error:  # gone already
            accepted.close()
            LOST_EARLY(reason=str(error))
        if not self._bound:  # stopped meanwhile
            self._abort_pending()

    def _pause(self, bound: socket.socket, why: str) -> None:
        """Such as too many open files: who waits is let in later, not turned away."""
        if not self._pauses:
            self._pauses = True
            NOT_ACCEPTED(address=self.address, reason=why, retry_s=ACCEPT_ERROR_PAUSE_S)
        silent = sorted(
            (each for each in self._pending if each.silent_s > _SILENT_S),
            key=lambda each: -each.silent_s,
        )
        for each in silent[:_ACCEPTED_AT_ONCE]:  # who waits may have something to say
            each.shut()
        self._loop.remove_reader(bound)
        self._loop.call_later(ACCEPT_ERROR_PAUSE_S, self._resume, bound)

    def _resume(self, bound: socket.socket) -> None:
        if bound in self._bound:
            self._loop.add_reader(bound, self._accept, bound)

    def _abort_pending(self) -> None:
        for each in list(self._pending):
            each.shut()

    def _http_upgrade(self) -> HttpUpgrade:
        return HttpUpgrade(self._route, self.connections, self._handshake_timeout_s, self._pending)
