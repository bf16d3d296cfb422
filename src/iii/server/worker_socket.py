"""A connection on `/`: the link of one session (01 §3)."""

import logging
from collections.abc import Callable
from functools import partial

from picows import WSTransport

from iii.engine.connection_limits import ConnectionLimits
from iii.engine.departures import Ending
from iii.engine.engine import Engine
from iii.engine.session import Session
from iii.net.connections import Connections
from iii.net.web_socket import WebSocket
from iii.protocol.backlog import Backlog
from iii.server.large_messages import LargeMessages

logger = logging.getLogger(__name__)


class WorkerSocket(WebSocket):
    __slots__ = ("_engine", "_large", "_left", "_limits", "_reading", "send", "send_parts", "session")

    send: Callable[..., Backlog | None]
    send_parts: Callable[..., Backlog | None]
    session: Session

    def __init__(
        self, engine: Engine, connections: Connections, large: LargeMessages, limits: ConnectionLimits | None = None
    ) -> None:
        super().__init__(connections)
        self._engine = engine
        self._large = large
        self._limits = limits
        self._reading = False  # a large message is being decoded elsewhere
        self._left: WSTransport | None = None  # the connection ended meanwhile

    def opened(self) -> None:
        self.send = self.outbox.send
        self.send_parts = self.outbox.send_parts
        self.session = self._engine.connect(self, self._limits)
        self.receive = self.session.receive
        self.receive_binary = self.session.receive_binary

    def ended(self) -> None:
        self.session.close(Ending.LEFT if self.closing or self.connections.ending else Ending.LOST)

    def read_elsewhere(self, data: bytes, done: Callable[[object], None]) -> None:
        self._reading = True
        self.pause_reading()
        self._large.read(data, partial(self._read, done))

    def _read(self, done: Callable[[object], None], result: object) -> None:
        self._reading = False
        try:
            done(result)
        except Exception:  # as picows does for a message that came in one piece
            logger.exception("Message of %s failed inside the engine", self.ip_address)
        if self._left is None:
            self.resume_reading()
        else:
            self.on_ws_disconnected(self._left)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._reading:  # what came before the end counts
            self._left = transport
            self.outbox.drop()
            return
        super().on_ws_disconnected(transport)
        del self.session  # it leads back here: both are freed without the collector
        self.send = self.send_parts = _gone

    @property
    def may_be_silent(self) -> bool:
        """A handler that computes blocks its worker's event loop, which then cannot pong (L7)."""
        return self._reading or bool(self.session.handling)


def _gone(frame: object, urgent: bool = False) -> None:
    """What is sent to a worker that left."""
