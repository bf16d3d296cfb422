"""A connection on `/otel`: telemetry frames in, nothing out (01 §2, 06 §2.3)."""

import logging

from iii.engine.engine import Engine
from iii.net.connection import Connection, ConnectionHandler
from iii.net.outbox import Outbox
from iii.protocol.log_event import LogEvent
from iii.protocol.telemetry import telemetry_kind

MESSAGE_DROPPED = LogEvent(
    __name__, "telemetry.message_dropped", logging.WARNING, "Binary message on /otel dropped: it is not telemetry",
    means="A client sent something else than a frame of spans, metrics or log records.",
    do="Look at the client at `ip_address`.",
)  # fmt: skip


class TelemetryEndpoint(ConnectionHandler[Outbox]):
    """Takes binary messages; a text has no meaning here."""

    __slots__ = ("_engine", "_ip_address")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ip_address: str | None = None

    def opened(self, connection: Connection[Outbox]) -> None:
        self._ip_address = connection.ip_address

    def binary(self, message: bytes) -> None:
        kind = telemetry_kind(message)
        if kind is None:
            MESSAGE_DROPPED(ip_address=self._ip_address)
        else:
            self._engine.telemetry(kind, message[4:])
