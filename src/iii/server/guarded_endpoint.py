"""Connections to a listener with access control: workers and telemetry, once they are let in (20 §1, O14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.net.connection import ConnectionHandler
from iii.net.outbox import Outbox
from iii.server.telemetry_endpoint import TelemetryEndpoint
from iii.server.worker_endpoint import WorkerEndpoint

if TYPE_CHECKING:
    from iii.engine.access.guard import Access
    from iii.engine.connection_limits import ConnectionLimits
    from iii.engine.engine import Engine
    from iii.engine.session.session import Session
    from iii.net.connection import Connection
    from iii.net.keepalive import Connections
    from iii.server.admission_door import AdmissionDoor
    from iii.server.large_messages import LargeMessages


def _unheard(message: bytes) -> None:
    """Nobody is there yet; the connection is not read from."""


class GuardedEndpoint(WorkerEndpoint):
    """A worker's. Where it is not let in it never has a session."""

    __slots__ = ("_door",)

    def __init__(
        self,
        engine: Engine,
        connections: Connections,
        large: LargeMessages,
        limits: ConnectionLimits | None,
        door: AdmissionDoor,
    ) -> None:
        super().__init__(engine, connections, large, limits, door.client)
        self._door = door
        self.text = self.binary = _unheard

    @property
    def may_be_silent(self) -> bool:
        return self._admitted is None or super().may_be_silent

    @property
    def _admitted(self) -> Session | None:
        return getattr(self, "session", None)

    def opened(self, connection: Connection[Outbox]) -> None:
        self._take(connection)
        self._door.knock(connection, self._let_in)

    def _let_in(self, access: Access) -> None:
        self.session = self._engine.connect(self, self._limits, access)
        self.text, self.binary = self.session.receive, self.session.receive_binary
        self.connection.text, self.connection.binary = self.text, self.binary

    def silent(self) -> None:
        if self._admitted is not None:
            super().silent()

    def ended(self) -> None:
        self._door.leave()
        if self._admitted is not None:
            super().ended()

    def gone(self) -> None:
        if self._admitted is not None:
            super().gone()
        else:
            del self.text, self.binary


class GuardedTelemetryEndpoint(ConnectionHandler[Outbox]):
    """A telemetry connection's."""

    __slots__ = ("_door", "_engine", "_telemetry")

    def __init__(self, engine: Engine, door: AdmissionDoor) -> None:
        self._engine = engine
        self._door = door
        self._telemetry: TelemetryEndpoint | None = None

    def opened(self, connection: Connection[Outbox]) -> None:
        def let_in(access: Access) -> None:
            self._telemetry = TelemetryEndpoint(self._engine)
            self._telemetry.opened(connection)

        self._door.knock(connection, let_in)

    def binary(self, message: bytes) -> None:
        if self._telemetry is not None:
            self._telemetry.binary(message)

    def ended(self) -> None:
        self._door.leave()
