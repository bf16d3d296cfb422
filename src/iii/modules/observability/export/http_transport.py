"""A request to a collector over HTTP. Imported on a thread: urllib.request takes 10 ms, and most engines export nothing."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request

from iii.modules.observability.export.collector_address import CollectorAddress
from iii.modules.observability.export.request_watch import RequestWatch
from iii.modules.observability.export.transport import TIMEOUT_S, SendFailed
from iii.modules.observability.export.watched_connections import WatchedHandler

LOGS_TIMEOUT_S = 30.0
_ANSWER_BYTES = 65_536  # of the collector's answer that are read
_NOT_HTTP = "the port does not answer in HTTP/1.1; perhaps it is the one for gRPC, and another one (4318) is for HTTP"
_AGAIN = frozenset({429, 502, 503, 504})  # as the protocol says


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

    def send(self, body: bytes) -> None:
        with RequestWatch(self._timeout_s) as watch:
            try:
                self._send(body, watch)
            except SendFailed:
                if watch.over:
                    raise SendFailed(f"no answer within {self._timeout_s:g} s", again=True) from None
                raise

    def _send(self, body: bytes, watch: RequestWatch) -> None:
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


def _opener(watch: RequestWatch) -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        WatchedHandler(watch),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _NoRedirect(),
    ):
        opener.add_handler(handler)
    return opener
