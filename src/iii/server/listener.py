"""One worker listener: its port, whom it lets in, where they go (L1, L2, 01 §1)."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address

from iii.engine.engine import Engine
from iii.protocol.limits import ACCEPT_ERROR_PAUSE_S, SILENCE_S
from iii.server.connections import Connections
from iii.server.door import Answer, Door
from iii.server.log_limit import LogLimit
from iii.server.request_head import RequestHead
from iii.server.start_failure import StartFailure
from iii.server.telemetry_socket import TelemetrySocket
from iii.server.web_socket import WebSocket
from iii.server.worker_socket import WorkerSocket

logger = logging.getLogger(__name__)

BACKLOG = 4096  # what comes back at once after a restart; the system may allow less
_ACCEPTED_AT_ONCE = 100  # then others get a turn of the loop
_LOOPBACK_HOSTS = ("127.0.0.1", "localhost")
_ENDPOINTS: dict[str, type[WebSocket]] = {"/": WorkerSocket, "/otel": TelemetrySocket}
_NOT_OUR_FAULT = (errno.ECONNRESET, errno.ECONNABORTED, errno.ECONNREFUSED, errno.EPROTO)


class Listener:
    """Accepts connections at one address until it is stopped."""

    def __init__(self, engine: Engine, host: str, port: int, handshake_timeout_ms: int) -> None:
        self.engine = engine
        self.host = host
        self.port = port  # once open, the one that the system chose for 0
        self._handshake_timeout_s = handshake_timeout_ms / 1000
        self._bound: list[socket.socket] = []
        self._doors: set[Door] = set()
        self._accepting: set[asyncio.Task[None]] = set()
        self._log = LogLimit(logger)

    @property
    def address(self) -> str:
        return f"{_in_url(self.host)}:{self.port}"

    @property
    def open_sockets(self) -> int:
        """Accepted connections, WebSocket or not yet."""
        return len(self.connections) + len(self._doors) + len(self._accepting)

    async def open(self) -> None:
        """Bind and accept. Raises StartFailure if the address cannot be had (L2)."""
        self._loop = asyncio.get_running_loop()
        self.connections = Connections(self.engine, self._loop)
        self._bound = await self._bind()
        for bound in self._bound:
            self._loop.add_reader(bound, self._accept, bound)

    def stop_accepting(self) -> None:
        """Close the port, then what is no WebSocket yet: nobody may be accepted and then dropped (01 §2.4)."""
        bound, self._bound = self._bound, []
        for each in bound:
            self._loop.remove_reader(each)
            each.close()
        self._shut_doors()

    async def close(self) -> None:
        """End all connections (L6)."""
        self.stop_accepting()
        await self.connections.end_all()

    # -- bind -----------------------------------------------------------------------------------------------------

    async def _bind(self) -> list[socket.socket]:
        host = _LOOPBACK_HOSTS[0] if self.host in _LOOPBACK_HOSTS else self.host
        bound: list[socket.socket] = []
        try:
            found = await self._loop.getaddrinfo(host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, _, _, _, address in dict.fromkeys(found):
                if self.port == 0 and bound:
                    break  # another family would get another port
                bound.append(_listening_socket(family, address))
        except (OSError, UnicodeError) as error:
            for each in bound:
                each.close()
            raise StartFailure(_bind_failure(self.host, self.port, error)) from None
        if self.port == 0:
            self.port = bound[0].getsockname()[1]
        elif host == _LOOPBACK_HOSTS[0]:
            bound += self._bind_other_loopback()
        return bound

    def _bind_other_loopback(self) -> list[socket.socket]:
        """Clients that say `localhost` may mean either family (L1)."""
        try:
            return [_listening_socket(socket.AF_INET6, ("::1", self.port))]
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                logger.warning(
                    "Port %s of ::1 is another process's: clients that use `localhost` may reach that", self.port
                )
            return []

    # -- accept ---------------------------------------------------------------------------------------------------

    def _accept(self, bound: socket.socket) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, _ = bound.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno not in _NOT_OUR_FAULT:
                    self._pause(bound, error)
                    return
                continue
            accepted.setblocking(False)
            task = self._loop.create_task(self._let_in(accepted))
            self._accepting.add(task)
            task.add_done_callback(self._accepting.discard)

    async def _let_in(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._door, accepted)
        except OSError as error:  # gone already
            accepted.close()
            logger.debug("Connection lost while it was accepted: %s", error)
        if not self._bound:  # stopped meanwhile
            self._shut_doors()

    def _pause(self, bound: socket.socket, error: OSError) -> None:
        """Such as too many open files: who waits is let in later, not turned away."""
        self._log.warning("Cannot accept connections for now: %s", error.strerror)
        self._loop.remove_reader(bound)
        self._loop.call_later(ACCEPT_ERROR_PAUSE_S, self._resume, bound)

    def _resume(self, bound: socket.socket) -> None:
        if bound in self._bound:
            self._loop.add_reader(bound, self._accept, bound)

    def _shut_doors(self) -> None:
        for door in list(self._doors):
            door.shut()

    def _door(self) -> Door:
        return Door(self._route, self._handshake_timeout_s, self._doors, self._log)

    def _route(self, request: RequestHead) -> Callable[[], WebSocket] | Answer:
        endpoint = _ENDPOINTS.get(request.path)
        if endpoint is None:
            return Answer(HTTPStatus.NOT_FOUND, "Not Found")
        return lambda: endpoint(self.connections)


def _listening_socket(family: int, address: tuple[object, ...]) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets inherit these (L7)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(SILENCE_S * 1000))
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        bound.setblocking(False)
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


def _bind_failure(host: str, port: int, error: Exception) -> str:
    address = f"{_in_url(host)}:{port}"
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"address {address} is already in use; is another engine running? The file's `port` sets another one"
    reason = error.strerror if isinstance(error, OSError) else None
    return f"failed to bind to {address}: {reason or error}"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to it."""
    if host in _LOOPBACK_HOSTS:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
