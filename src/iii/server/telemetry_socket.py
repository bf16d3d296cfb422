"""A connection on `/otel`: telemetry frames in, nothing out (01 §2, 06 §2.3)."""

from iii.engine.engine import Engine
from iii.net.connections import Connections
from iii.net.web_socket import WebSocket
from iii.protocol.telemetry import telemetry_kind


class TelemetrySocket(WebSocket):
    __slots__ = ("_engine",)

    def __init__(self, engine: Engine, connections: Connections) -> None:
        super().__init__(connections)
        self._engine = engine

    def opened(self) -> None:
        self.receive_binary = self._telemetry_arrived  # text has no meaning here

    def _telemetry_arrived(self, message: bytes) -> None:
        kind = telemetry_kind(message)
        if kind is None:
            self.connections.log.warning("Binary message on /otel from %s dropped: no telemetry", self.ip_address)
        else:
            self._engine.telemetry(kind, message[4:])
