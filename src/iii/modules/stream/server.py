"""The stream port: which requests become clients (05 §6.1–6.3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from iii.modules.stream.config import StreamConfig
from iii.modules.stream.events import Timestamps
from iii.modules.stream.gate import Gate, Refused
from iii.modules.stream.hub import Hub
from iii.modules.stream.socket import JoinData, StreamSocket
from iii.modules.stream.source import Source
from iii.net.acceptor import Acceptor
from iii.net.door import Answer, Endpoint, Made
from iii.net.request_head import RequestHead
from iii.protocol.ids import new_id
from iii.protocol.limits import HANDSHAKE_TIMEOUT_MS

logger = logging.getLogger(__name__)

LEAVE_S = 2.0  # for the handlers of `stream:leave` when the engine stops (L4)
_PREFERRED = "authorization"  # with it browsers hand over a token

SHARE = 0.75  # of the open files: however many clients come, workers find room


class StreamServer:
    """The listener and what its sockets share.

    Attributes:
        channel_size: messages that may wait for one socket.
        stores_in_order: the store's snapshots are in order with its changes.
    """

    def __init__(
        self,
        config: StreamConfig,
        gate: Gate,
        hub: Hub,
        source: Source,
        timestamps: Timestamps,
        channel_size: int,
        stores_in_order: bool,
    ) -> None:
        self.config = config
        self.gate = gate
        self.hub = hub
        self.source = source
        self.timestamps = timestamps
        self.channel_size = channel_size
        self.stores_in_order = stores_in_order
        self._tasks: set[asyncio.Task[None]] = set()
        self._acceptor = Acceptor(config.host, config.port, HANDSHAKE_TIMEOUT_MS / 1000, self._route, SHARE)

    @property
    def port(self) -> int:
        return self._acceptor.port

    @property
    def address(self) -> str:
        return self._acceptor.address

    @property
    def open_sockets(self) -> int:
        """Connections, clients or not yet."""
        return self._acceptor.open_sockets

    async def start(self) -> None:
        """Raises StartFailure."""
        await self._acceptor.open()

    async def stop(self) -> None:
        """Tell of every subscription that it ends, for a while; then close."""
        self._acceptor.stop_accepting()
        leaving = [self.spawn(self.gate.tell_left(call)) for socket in self._sockets() for call in socket.remaining()]
        if leaving:
            await asyncio.wait(leaving, timeout=LEAVE_S)
            for socket in self._sockets():
                socket.forget_all()
        await self._acceptor.close()
        for task in list(self._tasks):
            task.cancel()

    def restart_sockets(self) -> None:
        """Events may have been missed: every client is to come back for a new snapshot."""
        for socket in self._sockets():
            socket.restart()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run it until it ends, or the server does."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("A stream client's request failed inside the engine", exc_info=error)

    def _sockets(self) -> list[StreamSocket]:
        return [socket for socket in self._acceptor.connections if isinstance(socket, StreamSocket)]

    def _route(self, request: RequestHead) -> Endpoint | Answer:
        if request.path == "/":
            return lambda: self._let_in(request, None)
        names = [unquote(part) for part in request.path.removesuffix("/").split("/")]
        if names[:2] == ["", "stream"] and len(names) in (4, 5):
            first = JoinData(new_id(), names[2], names[3], names[4] if len(names) == 5 else None)
            return lambda: self._let_in(request, first)
        return Answer(HTTPStatus.NOT_FOUND, "Not Found")

    async def _let_in(self, request: RequestHead, first: JoinData | None) -> Made:
        try:
            self.gate.check_origin(request)
            context = await self.gate.authenticate(request, request.peer)
        except Refused as refused:
            return refused.answer
        return StreamSocket(self, self._acceptor.connections, context, _subprotocol(request), first)


def _subprotocol(request: RequestHead) -> str | None:
    """One that the client offers, else it would break off (05 §6.2)."""
    offered = request.subprotocols
    return next((each for each in offered if each.lower() == _PREFERRED), offered[0] if offered else None)
