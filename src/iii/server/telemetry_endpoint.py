"""A connection on `/otel`: telemetry frames in, nothing out (01 §2, 06 §2.3)."""

from iii.engine.engine import Engine
from iii.net.connection import Connection, Handler
from iii.net.keepalive import Connections
from iii.net.outbox import Outbox
from iii.protocol.telemetry import telemetry_kind


class TelemetryEndpoint(Handler[Outbox]):
    """Takes binary messages; a text has no meaning here."""

    __slots__ = ("_connections", "_engine", "_ip_address")

    def __init__(self, engine: Engine, connections: Connections) -> None:
        self._engine = engine
        self._connections = connections
        self._ip_address: str | None = None

    def opened(self, connection: Connection[Outbox]) -> None:
        self._ip_address = connection.ip_address

    def binary(self, message: bytes) -> None:
        kind = telemetry_kind(message)
        if kind is None:
            self._connections.log.warning("Binary message on /otel from %s dropped: no telemetry", self._ip_address)
        else:
            self._engine.telemetry(kind, message[4:])
