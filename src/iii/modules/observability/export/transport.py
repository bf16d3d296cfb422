"""One request to a collector, on a thread of the caller's (14 §2). gRPC and its library are known here alone."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Protocol as Interface
from urllib.parse import urlsplit

from iii.modules.observability.export.collector_address import CollectorAddress

TIMEOUT_S = 10.0
LOGS_TIMEOUT_S = 30.0
_ANSWER_BYTES = 65_536  # of the collector's answer that are read
_AGAIN = frozenset({429, 502, 503, 504})  # as the protocol says
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


def transport(to: CollectorAddress) -> Transport:
    """Raises ImportError without the extra `otlp`, where gRPC is wanted."""
    return GrpcTransport(to) if to.protocol == "grpc" else HttpTransport(to)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A collector that redirects would get the headers, and with them its secrets, sent elsewhere."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


class HttpTransport:
    """POST, protobuf or JSON."""

    def __init__(self, to: CollectorAddress) -> None:
        kind = "application/json" if to.protocol == "http/json" else "application/x-protobuf"
        self._headers = {"content-type": kind, "user-agent": "iii", **to.headers}
        self._address = to.address
        self._timeout_s = LOGS_TIMEOUT_S if to.signal == "logs" else TIMEOUT_S
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            _NoRedirect(),
        ):
            self._opener.add_handler(handler)

    def send(self, body: bytes) -> None:
        try:
            request = urllib.request.Request(self._address, body, self._headers, method="POST")
            with self._opener.open(request, timeout=self._timeout_s) as response:
                response.read(_ANSWER_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                raise SendFailed(f"HTTP {error.code}", again=error.code in _AGAIN) from None
        except OSError as error:
            raise SendFailed(str(getattr(error, "reason", error)) or type(error).__name__, again=True) from None
        except Exception as error:  # an answer that is no HTTP, an address that is none
            raise SendFailed(f"{type(error).__name__}: {error}", again=False) from None

    def close(self) -> None:
        """Each request has a connection of its own."""


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
