"""One worker listener: what its paths lead to (01 §1, 07 §2.3)."""

from __future__ import annotations

from http import HTTPStatus

from iii.engine.access.admission import Admission
from iii.engine.access.changed_rules import change_rules
from iii.engine.connection_limits import ConnectionLimits
from iii.engine.engine import Engine
from iii.net.acceptor import Acceptor
from iii.net.connection import Connection, ConnectionHandler
from iii.net.http_head import RequestHead
from iii.net.http_upgrade import Endpoint, PlainResponse
from iii.net.outbox import Outbox
from iii.net.server_tls import ServerTls
from iii.net.trusted_proxies import TrustedProxies
from iii.protocol.close_codes import CloseCode
from iii.server.admission_door import AdmissionDoor
from iii.server.channel_ends import channel_end
from iii.server.channel_request import channel_requested
from iii.server.guarded_endpoint import GuardedEndpoint, GuardedTelemetryEndpoint
from iii.server.large_messages import LargeMessages
from iii.server.telemetry_endpoint import TelemetryEndpoint
from iii.server.worker_endpoint import WorkerEndpoint

_NOT_READY = HTTPStatus.SERVICE_UNAVAILABLE


class Listener(Acceptor):
    """Where workers connect."""

    def __init__(
        self,
        engine: Engine,
        host: str,
        port: int,
        handshake_timeout_ms: int,
        limits: ConnectionLimits | None = None,
        admission: Admission | None = None,
        telemetry_by_address: bool = False,
        tls: ServerTls | None = None,
        proxies: TrustedProxies | None = None,
    ) -> None:
        super().__init__(host, port, handshake_timeout_ms / 1000, self._endpoint, tls=tls)
        self.engine = engine
        self.admission = admission
        self._limits = limits
        self._proxies = proxies
        self._telemetry_by_address = telemetry_by_address
        self._large = LargeMessages()

    def judge_by(self, admission: Admission, *, telemetry_by_address: bool) -> None:
        """Other rules count, for those that are connected too; telemetry sockets log in again."""
        assert self.admission is not None
        change_rules(self.engine, self.admission, admission)
        self._telemetry_by_address = telemetry_by_address
        for connection in self.connections:
            if isinstance(connection.handler, GuardedTelemetryEndpoint):
                connection.close(CloseCode.SERVICE_RESTART, "access rules changed")

    def let_in_again(self, admission: Admission | None, *, telemetry_by_address: bool) -> None:
        """Connections are sessions from now on, or no longer: those that are there log in again, channels go on."""
        self.admission = admission
        self._telemetry_by_address = telemetry_by_address
        for connection in list(self.connections):
            if isinstance(connection.handler, WorkerEndpoint | TelemetryEndpoint | GuardedTelemetryEndpoint):
                _send_away(connection)

    def send_all_away(self) -> None:
        """What is there has not shown what is demanded from now on."""
        self._abort_pending()
        for connection in list(self.connections):
            _send_away(connection)

    def adjust(
        self,
        handshake_timeout_ms: int,
        limits: ConnectionLimits,
        tls: ServerTls | None,
        proxies: TrustedProxies | None,
    ) -> None:
        """For connections that come from now on."""
        self._limits = limits
        self.tls = tls
        self._proxies = proxies
        self.wait_for_heads(handshake_timeout_ms / 1000)

    async def close(self) -> None:
        await super().close()
        self._large.close()

    def _endpoint(self, request: RequestHead) -> Endpoint | PlainResponse:
        channel = channel_requested(request.path, request.query)
        if channel is not None:
            return lambda: channel_end(self.engine, self.connections, channel)
        match request.path:
            case "/":
                return lambda: self._worker(request)
            case "/otel":
                return lambda: self._telemetry(request)
            case "/healthz":
                return PlainResponse(HTTPStatus.OK, "ok")
            case "/readyz":
                why = self.engine.readiness.why_not()
                if why is None:
                    return PlainResponse(HTTPStatus.OK, self.engine.readiness.says("ok"))
                return PlainResponse(_NOT_READY, why)
            case _:
                return PlainResponse(HTTPStatus.NOT_FOUND, "Not Found")

    def _worker(self, request: RequestHead) -> WorkerEndpoint:
        if self.admission is None:
            client = self._client(request)
            return WorkerEndpoint(self.engine, self.connections, self._large, self._limits, client)
        door = AdmissionDoor(self.admission, request, self._client(request))
        return GuardedEndpoint(self.engine, self.connections, self._large, self._limits, door)

    def _telemetry(self, request: RequestHead) -> ConnectionHandler[Outbox]:
        if self.admission is None or self._is_known(request):
            return TelemetryEndpoint(self.engine)
        door = AdmissionDoor(self.admission, request, self._client(request))
        return GuardedTelemetryEndpoint(self.engine, door)

    def _client(self, request: RequestHead) -> str | None:
        """The address that a trusted proxy tells; None: that of the TCP peer counts."""
        if self._proxies is None:
            return None
        return self._proxies.client(_address(request), request.headers.get("x-forwarded-for"))

    def _is_known(self, request: RequestHead) -> bool:
        """Whether a session of this listener has the address of a client that cannot log in by itself (O14)."""
        if not self._telemetry_by_address or self.admission is None:
            return False
        rules, address = self.admission.rules, self._client(request) or _address(request)
        return any(
            peer.guard is not None and peer.guard.rules is rules and peer.link.ip_address == address
            for peer in self.engine.roster.connections.values()
        )


def _send_away(connection: Connection[Outbox]) -> None:
    connection.tell_end()  # at once: it may do nothing more
    connection.close(CloseCode.SERVICE_RESTART, "access rules changed")


def _address(request: RequestHead) -> str:
    """Of the TCP peer."""
    return request.peer.rpartition(":")[0].strip("[]")
