"""A connection on `/`: the link of one session (01 §3)."""

from picows import WSTransport

from iii.engine.session import Session
from iii.server.web_socket import WebSocket


class WorkerSocket(WebSocket):
    __slots__ = ("send", "session")

    session: Session

    def opened(self) -> None:
        self.send = self.outbox.send
        self.session = self.connections.engine.connect(self)
        self.receive = self.session.receive
        self.receive_binary = self.session.receive_binary

    def ended(self) -> None:
        self.session.close()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        super().on_ws_disconnected(transport)
        del self.session, self.send  # both lead back here: it is freed without the collector

    @property
    def may_be_silent(self) -> bool:
        """A handler that computes blocks its worker's event loop, which then cannot pong (L7)."""
        return bool(self.session.handling)
