"""Connections to collectors whose sockets a `RequestWatch` knows. Imported on a thread, as `http_transport` is."""

from __future__ import annotations

import http.client
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar

from iii.modules.observability.export.request_watch import RequestWatch


class _Watched:
    """A connection whose socket is told."""

    watch: RequestWatch

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "sock" and value is not None:
            self.watch.see(value)
        super().__setattr__(name, value)


class _HttpConnection(_Watched, http.client.HTTPConnection):
    pass


class _HttpsConnection(_Watched, http.client.HTTPSConnection):
    pass


C = TypeVar("C", _HttpConnection, _HttpsConnection)


class WatchedHandler(urllib.request.HTTPHandler):
    """Requests of both schemes."""

    def __init__(self, watch: RequestWatch) -> None:
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
