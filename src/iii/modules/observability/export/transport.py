"""One request to a collector, on a thread of the caller's (14 §2). gRPC and its library are known here alone."""

from __future__ import annotations

from typing import Protocol as Interface
from urllib.parse import urlsplit

from iii.modules.observability.export.collector_address import CollectorAddress

TIMEOUT_S = 10.0
_METHODS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}


class SendFailed(Exception):
    """The collector has not taken it.

    Attributes:
        again: whether it may be sent once more.
    """

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


class Transport(Interface):
    """Sends one request and waits for its answer. Blocks for `TIMEOUT_S` at most."""

    def send(self, body: bytes) -> None:
        """Raises SendFailed."""

    def close(self) -> None: ...


class GrpcTransport:
    """One channel, which reconnects by itself."""

    def __init__(self, to: CollectorAddress) -> None:
        import grpc  # type: ignore[import-untyped]  # its stubs know neither generic calls nor errors' details

        parts = urlsplit(to.address if "://" in to.address else f"http://{to.address}")
        target = f"{parts.hostname or 'localhost'}:{parts.port or 4317}"
        self._channel = (
            grpc.secure_channel(target, grpc.ssl_channel_credentials())
            if parts.scheme == "https"
            else grpc.insecure_channel(target)
        )
        self._export = self._channel.unary_unary(_METHODS[to.signal])
        self._metadata = list(to.headers.items())
        self._failed = grpc.RpcError
        code = grpc.StatusCode
        self._again = {
            code.CANCELLED, code.DEADLINE_EXCEEDED, code.RESOURCE_EXHAUSTED, code.ABORTED, code.OUT_OF_RANGE,
            code.UNAVAILABLE, code.DATA_LOSS,
        }  # fmt: skip

    def send(self, body: bytes) -> None:
        try:
            self._export(body, timeout=TIMEOUT_S, metadata=self._metadata)
        except self._failed as error:
            code = error.code()
            raise SendFailed(f"{code.name}: {error.details()}", again=code in self._again) from None
        except Exception as error:  # the channel is closed, a header that gRPC refuses
            raise SendFailed(f"{type(error).__name__}: {error}", again=False) from None

    def close(self) -> None:
        self._channel.close()
