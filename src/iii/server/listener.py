"""One worker listener: what its paths lead to (01 §1, 07 §2.3)."""

from __future__ import annotations

from http import HTTPStatus

from iii.engine.connection_limits import ConnectionLimits
from iii.engine.engine import Engine
from iii.net.acceptor import Acceptor
from iii.net.door import Answer, Endpoint
from iii.net.request_head import RequestHead
from iii.server.channel_request import channel_requested
from iii.server.channel_socket import channel_socket
from iii.server.large_messages import LargeMessages
from iii.server.telemetry_socket import TelemetrySocket
from iii.server.worker_socket import WorkerSocket


class Listener(Acceptor):
    """Where workers connect."""

    def __init__(
        self, engine: Engine, host: str, port: int, handshake_timeout_ms: int, limits: ConnectionLimits | None = None
    ) -> None:
        super().__init__(host, port, handshake_timeout_ms / 1000, self._endpoint)
        self.engine = engine
        self._limits = limits
        self._large = LargeMessages()

    async def close(self) -> None:
        await super().close()
        self._large.close()

    def _endpoint(self, request: RequestHead) -> Endpoint | Answer:
        channel = channel_requested(request.path, request.query)
        if channel is not None:
            return lambda: channel_socket(self.engine, self.connections, channel)
        match request.path:
            case "/":
                return lambda: WorkerSocket(self.engine, self.connections, self._large, self._limits)
            case "/otel":
                return lambda: TelemetrySocket(self.engine, self.connections)
            case _:
                return Answer(HTTPStatus.NOT_FOUND, "Not Found")
