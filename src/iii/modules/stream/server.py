"""The stream port: which requests become clients (05 §6.1–6.3)."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from urllib.parse import unquote

from iii.modules.stream.client import JoinData, StreamClient
from iii.modules.stream.client_context import ClientContext
from iii.modules.stream.config import StreamConfig
from iii.modules.stream.gate import ClientRefused
from iii.net.acceptor import Acceptor
from iii.net.http_head import RequestHead
from iii.net.http_upgrade import Endpoint, Made, PlainResponse
from iii.net.server_tls import server_tls
from iii.protocol.ids import new_id
from iii.protocol.limits import HANDSHAKE_TIMEOUT_MS
from iii.protocol.measurement import Measurement

LEAVE_S = 2.0  # for the handlers of `stream:leave` when the engine stops (L4)
_PREFERRED = "authorization"  # with it browsers hand over a token

SHARE = 0.75  # of the open files: however many clients come, workers find room


class StreamServer:
    """Lets clients in."""

    def __init__(self, config: StreamConfig, shared: ClientContext, listener: str) -> None:
        """Raises StartFailure."""
        self._config = config
        self._listener = listener
        self.shared = shared
        self._acceptor = self._acceptor_of(config)

    @property
    def port(self) -> int:
        return self._acceptor.port

    @property
    def address(self) -> str:
        return self._acceptor.address

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return self._acceptor.url

    @property
    def open_sockets(self) -> int:
        """Connections, clients or not yet."""
        return self._acceptor.open_sockets

    def measure(self, listener: str) -> list[Measurement]:
        """Its connections and their bytes."""
        return self._acceptor.measure(listener)

    async def start(self) -> None:
        """Raises StartFailure."""
        await self._acceptor.open()

    def _acceptor_of(self, config: StreamConfig) -> Acceptor:
        tls = server_tls(config.tls, self._listener)
        return Acceptor(config.host, config.port, HANDSHAKE_TIMEOUT_MS / 1000, self._route, SHARE, tls)

    async def renew(self) -> None:
        """Look whether the certificate has changed."""
        await self._acceptor.renew()

    async def adjust(self, config: StreamConfig) -> None:
        """Other settings; to another port clients have to come again. Raises StartFailure: it cannot be had."""
        old = self._acceptor
        if (config.host, config.port) != (self._config.host, self._config.port):
            acceptor = self._acceptor_of(config)
            await acceptor.open()
            self._acceptor = acceptor
        elif config.tls != self._config.tls:
            old.tls = server_tls(config.tls, self._listener)
        self._config = config
        if self._acceptor is not old:
            await self._close(old)

    async def stop(self) -> None:
        """Tell of every subscription that it ends, for a while; then close."""
        await self._close(self._acceptor)
        self.shared.tasks.cancel()

    async def _close(self, acceptor: Acceptor) -> None:
        acceptor.stop_accepting()
        shared, clients = self.shared, _clients(acceptor)
        leaving = [shared.tasks.spawn(shared.gate.tell_left(call)) for client in clients for call in client.remaining()]
        if leaving:
            await asyncio.wait(leaving, timeout=LEAVE_S)
            for client in clients:
                client.forget_all()
        await acceptor.close()

    def restart_clients(self) -> None:
        """Events may have been missed: every client is to come back for a new snapshot."""
        for client in self.clients:
            client.restart()

    @property
    def clients(self) -> list[StreamClient]:
        """Who is connected."""
        return _clients(self._acceptor)

    def _route(self, request: RequestHead) -> Endpoint | PlainResponse:
        if request.path == "/":
            return lambda: self._let_in(request, None)
        names = [unquote(part) for part in request.path.removesuffix("/").split("/")]
        if names[:2] == ["", "stream"] and len(names) in (4, 5):
            first = JoinData(new_id(), names[2], names[3], names[4] if len(names) == 5 else None)
            return lambda: self._let_in(request, first)
        return PlainResponse(HTTPStatus.NOT_FOUND, "Not Found")

    async def _let_in(self, request: RequestHead, first: JoinData | None) -> Made:
        try:
            self.shared.gate.check_origin(request)
            context = await self.shared.gate.authenticate(request, request.peer)
        except ClientRefused as refused:
            return refused.answer
        return StreamClient(self.shared, context, self._config.max_message_bytes, _subprotocol(request), first)


def _clients(acceptor: Acceptor) -> list[StreamClient]:
    return [each.handler for each in acceptor.connections if isinstance(each.handler, StreamClient)]


def _subprotocol(request: RequestHead) -> str | None:
    """One that the client offers, else it would break off (05 §6.2)."""
    offered = request.subprotocols
    return next((each for each in offered if each.lower() == _PREFERRED), offered[0] if offered else None)
