"""A request to a collector over HTTP. Imported on a thread: urllib.request takes 10 ms, and most engines export nothing."""

from __future__ import annotations

import http.client
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from iii.modules.observability.export.collector_address import CollectorAddress
from iii.modules.observability.export.transport import TIMEOUT_S, SendFailed

LOGS_TIMEOUT_S = 30.0
_ANSWER_BYTES = 65_536  # of the collector's answer that are read
_NOT_HTTP = "the port does not answer in HTTP/1.1; perhaps it is the one for gRPC, and another one (4318) is for HTTP"
_AGAIN = frozenset({429, 502, 503, 504})  # as the protocol says


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A collector that redirects would get the headers, and with them its secrets, sent elsewhere."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


class _Watch:
    """Ends one request in time: what a socket times is each piece of an answer, which may come byte by byte for ever.

    Attributes:
        over: the time is.
    """

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def see(self, connected: socket.socket) -> None:
        """Which socket it is: a copy, as TLS takes the first one over before the two sides agree."""
        with self._lock:
            if self._socket is None:
                self._socket = connected.dup()
        if self.over:
            self._end()

    def _end(self) -> None:
        with self._lock:
            self.over = True
            if self._socket is not None:
                with suppress(OSError):  # the collector has ended it
                    self._socket.shutdown(socket.SHUT_RDWR)


class _Watched:
    """A connection whose socket is told."""

    watch: _Watch

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "sock" and value is not None:
            self.watch.see(value)
        super().__setattr__(name, value)


class _HttpConnection(_Watched, http.client.HTTPConnection):
    pass


class _HttpsConnection(_Watched, http.client.HTTPSConnection):
    pass


C = TypeVar("C", _HttpConnection, _HttpsConnection)


class _Handler(urllib.request.HTTPHandler):
    """Requests of both schemes."""

    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._made(_HttpConnection), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._made(_HttpsConnection), request)

    https_request = urllib.request.HTTPHandler.http_request

    def _made(self, kind: type[C]) -> Callable[..., C]:
        def make(*args: Any, **named: Any) -> C:
            connection = kind(*args, **named)
            connection.watch = self._watch
            return connection

        return make


class HttpTransport:
    """POST, protobuf or JSON."""

    def __init__(self, to: CollectorAddress) -> None:
        kind = "application/json" if to.protocol == "http/json" else "application/x-protobuf"
        self._headers = {"content-type": kind, "user-agent": "iii", **to.headers}
        self._address = to.address
        self._timeout_s = LOGS_TIMEOUT_S if to.signal == "logs" else TIMEOUT_S

    def send(self, body: bytes) -> None:
        with _Watch(self._timeout_s) as watch:
            try:
                self._send(body, watch)
            except SendFailed:
                if watch.over:
                    raise SendFailed(f"no answer within {self._timeout_s:g} s", again=True) from None
                raise

    def _send(self, body: bytes, watch: _Watch) -> None:
        try:
            request = urllib.request.Request(self._address, body, self._headers, method="POST")
            with _opener(watch).open(request, timeout=self._timeout_s) as response:
                if watch.over:  # half a head is read as a whole one
                    raise SendFailed("the answer was cut off", again=True)
                response.read(_ANSWER_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                raise SendFailed(f"HTTP {error.code}", again=error.code in _AGAIN) from None
        except OSError as error:
            raise SendFailed(str(getattr(error, "reason", error)) or type(error).__name__, again=True) from None
        except SendFailed:
            raise
        except http.client.BadStatusLine:
            raise SendFailed(_NOT_HTTP, again=False) from None
        except Exception as error:  # an answer that is no HTTP, an address that is none
            raise SendFailed(f"{type(error).__name__}: {error}", again=False) from None

    def close(self) -> None:
        """Each request has a connection of its own."""


def _opener(watch: _Watch) -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        _Handler(watch),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _NoRedirect(),
    ):
        opener.add_handler(handler)
    return opener
