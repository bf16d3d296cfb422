"""A collector of OpenTelemetry, as far as tests need one: it takes requests over HTTP or gRPC, on threads of its own."""

import http.server
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc  # type: ignore[import-untyped]
import msgspec
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

DEADLINE_S = 60.0

KINDS: dict[str, type[Any]] = {"traces": ExportTraceServiceRequest, "metrics": ExportMetricsServiceRequest}


class Collector:
    """What has come.

    Attributes:
        requests: signal, headers and message (logs: the JSON) of each.
        answers: what the next requests are answered with, HTTP status or name of gRPC's code; then all is well.
        silent: set it before the start, and requests are never answered, until `release`.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.answers: list[Any] = []
        self.silent = False
        self.release = threading.Event()
        self.url = ""
        self._change = threading.Condition()

    def take(self, signal: str, headers: dict[str, str], body: bytes) -> Any:
        """The answer, or None for well."""
        message: Any = msgspec.json.decode(body) if signal == "logs" else KINDS[signal]()
        if signal != "logs":
            message.ParseFromString(body)
        with self._change:
            self.requests.append((signal, headers, message))
            self._change.notify_all()
            answer = self.answers.pop(0) if self.answers else None
        if self.silent:
            self.release.wait(DEADLINE_S)
        return answer

    def wait(self, requests: int) -> list[tuple[str, dict[str, str], Any]]:
        """Until so many have come."""
        with self._change:
            assert self._change.wait_for(lambda: len(self.requests) >= requests, DEADLINE_S), self.requests
            return list(self.requests)


@contextmanager
def http_collector() -> Iterator[Collector]:
    collector = Collector()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = collector.take(self.path.rpartition("/")[2], headers, body) or 200
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that left while it was kept waiting."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        collector.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield collector
        collector.release.set()
        server.shutdown()
        thread.join()


@contextmanager
def grpc_collector() -> Iterator[Collector]:
    collector = Collector()

    class Services(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: Any) -> Any:
            signal = "traces" if "trace" in details.method else "metrics"

            def export(body: bytes, context: Any) -> bytes:
                code = collector.take(signal, dict(context.invocation_metadata()), body)
                if code is not None:
                    context.abort(getattr(grpc.StatusCode, code), "as the test says")
                return b""

            return grpc.unary_unary_rpc_method_handler(export)

    server = grpc.server(ThreadPoolExecutor(4), handlers=[Services()])
    collector.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield collector
    collector.release.set()
    server.stop(None).wait()
