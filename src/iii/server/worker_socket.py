"""A connection on `/`: the link of one session (01 §3)."""

from collections.abc import Callable

from picows import WSTransport

from iii.engine.engine import Engine
from iii.engine.session import Session
from iii.net.connections import Connections
from iii.net.web_socket import WebSocket
from iii.protocol.backlog import Backlog


class WorkerSocket(WebSocket):
    __slots__ = ("_engine", "send", "session")

    send: Callable[..., Backlog | None]
    session: Session

    def __init__(self, engine: Engine, connections: Connections) -> None:
        super().__init__(connections)
        self._engine = engine

    def opened(self) -> None:
        self.send = self.outbox.send
        self.session = self._engine.connect(self)
        self.receive = self.session.receive
        self.receive_binary = self.session.receive_binary

    def ended(self) -> None:
        self.session.close()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        super().on_ws_disconnected(transport)
        del self.session  # it leads back here: both are freed without the collector
        self.send = _gone

    @property
    def may_be_silent(self) -> bool:
        """A handler that computes blocks its worker's event loop, which then cannot pong (L7)."""
        return bool(self.session.handling)


def _gone(frame: bytes, urgent: bool = False) -> None:
    """What is sent to a worker that left."""
