"""One worker listener: what its paths lead to (01 §1, 07 §2.3)."""

from __future__ import annotations

from http import HTTPStatus

from iii.engine.connection_limits import ConnectionLimits
from iii.engine.engine import Engine
from iii.net.acceptor import Acceptor
from iii.net.http_head import RequestHead
from iii.net.http_upgrade import Endpoint, PlainResponse
from iii.server.channel_ends import channel_end
from iii.server.channel_request import channel_requested
from iii.server.large_messages import LargeMessages
from iii.server.telemetry_endpoint import TelemetryEndpoint
from iii.server.worker_endpoint import WorkerEndpoint

_NOT_READY = HTTPStatus.SERVICE_UNAVAILABLE


class Listener(Acceptor):
    """Where workers connect."""

    def __init__(
        self, engine: Engine, host: str, port: int, handshake_timeout_ms: int, limits: ConnectionLimits | None = None
    ) -> None:
        super().__init__(host, port, handshake_timeout_ms / 1000, self._endpoint)
        self.engine = engine
        self._limits = limits
        self._large = LargeMessages()

    def adjust(self, handshake_timeout_ms: int, limits: ConnectionLimits) -> None:
        """For connections that come from now on."""
        self._limits = limits
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
                return lambda: WorkerEndpoint(self.engine, self.connections, self._large, self._limits)
            case "/otel":
                return lambda: TelemetryEndpoint(self.engine)
            case "/healthz":
                return PlainResponse(HTTPStatus.OK, "ok")
            case "/readyz":
                why = self.engine.readiness.why_not()
                return PlainResponse(HTTPStatus.OK, "ok") if why is None else PlainResponse(_NOT_READY, why)
            case _:
                return PlainResponse(HTTPStatus.NOT_FOUND, "Not Found")
