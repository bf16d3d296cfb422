"""A request to a collector over HTTP. Imported on a thread: urllib.request takes 10 ms, and most engines export nothing."""

from __future__ import annotations

import http.client
import socket
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from iii.modules.observability.export.collector_address import CollectorAddress
from iii.modules.observability.export.transport import TIMEOUT_S, SendFailed

LOGS_TIMEOUT_S = 30.0
_ANSWER_BYTES = 65_536  # of the collector's answer that are read
_AGAIN = frozenset({429, 502, 503, 504})  # as the protocol says


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A collector that redirects would get the headers, and with them its secrets, sent elsewhere."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


class _Limit:
    """Ends a request after so long, however slowly its answer comes: the time-out of a socket is one for each read."""

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    def watch(self, connected: socket.socket) -> None:
        """The request's."""
        self._socket = connected
        if self.passed:
            self._end()

    def _end(self) -> None:
        self.passed = True
        if self._socket is not None:
            with suppress(OSError):  # it is closed
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # of TLS too: nothing more is said on it


class _Connections:
    """Makes those of one transport, whose requests follow one another."""

    def __init__(self) -> None:
        self.limit = _Limit(0)

    def plain(self, host: str, **options: Any) -> http.client.HTTPConnection:
        """For `http`."""
        return _Plain(self.limit, host, **options)

    def tls(self, host: str, **options: Any) -> http.client.HTTPSConnection:
        """For `https`."""
        return _Tls(self.limit, host, **options)


class _Plain(http.client.HTTPConnection):
    def __init__(self, limit: _Limit, host: str, **options: Any) -> None:
        super().__init__(host, **options)
        self._limit = limit

    def connect(self) -> None:
        super().connect()
        self._limit.watch(self.sock)


class _Tls(http.client.HTTPSConnection):
    def __init__(self, limit: _Limit, host: str, **options: Any) -> None:
        super().__init__(host, **options)
        self._limit = limit

    def connect(self) -> None:
        super().connect()
        self._limit.watch(self.sock)


class _HttpHandler(urllib.request.HTTPHandler):
    def __init__(self, connections: _Connections) -> None:
        super().__init__()
        self._connections = connections

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connections.plain, req)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def __init__(self, connections: _Connections) -> None:
        super().__init__()
        self._connections = connections

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connections.tls, req)


class HttpTransport:
    """POST, protobuf or JSON."""

    def __init__(self, to: CollectorAddress) -> None:
        kind = "application/json" if to.protocol == "http/json" else "application/x-protobuf"
        self._headers = {"content-type": kind, "user-agent": "iii", **to.headers}
        self._address = to.address
        self._timeout_s = LOGS_TIMEOUT_S if to.signal == "logs" else TIMEOUT_S
        self._connections = _Connections()
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            _HttpHandler(self._connections),
            _HttpsHandler(self._connections),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            _NoRedirect(),
        ):
            self._opener.add_handler(handler)

    def send(self, body: bytes) -> None:
        self._connections.limit = _Limit(self._timeout_s)
        with self._connections.limit as limit:
            try:
                in_time = self._post(body, limit)
            except SendFailed:
                if not limit.passed:
                    raise
                in_time = False
        if not in_time:
            raise SendFailed("timed out", again=True)

    def _post(self, body: bytes, limit: _Limit) -> bool:
        """Whether the answer began in time: what has come of its head when the limit passes counts as a whole one."""
        try:
            request = urllib.request.Request(self._address, body, self._headers, method="POST")
            with self._opener.open(request, timeout=self._timeout_s) as response:
                in_time = not limit.passed
                response.read(_ANSWER_BYTES)
                return in_time
        except urllib.error.HTTPError as error:
            with error:
                raise SendFailed(f"HTTP {error.code}", again=error.code in _AGAIN) from None
        except OSError as error:
            raise SendFailed(str(getattr(error, "reason", error)) or type(error).__name__, again=True) from None
        except Exception as error:  # an answer that is no HTTP, an address that is none
            raise SendFailed(f"{type(error).__name__}: {error}", again=False) from None

    def close(self) -> None:
        """Each request has a connection of its own."""
