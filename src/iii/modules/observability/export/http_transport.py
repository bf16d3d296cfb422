"""A request to a collector over HTTP. Imported on a thread: urllib.request takes 10 ms, and most engines export nothing."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request

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
        except http.client.BadStatusLine:
            raise SendFailed(_NOT_HTTP, again=False) from None
        except Exception as error:  # an answer that is no HTTP, an address that is none
            raise SendFailed(f"{type(error).__name__}: {error}", again=False) from None

    def close(self) -> None:
        """Each request has a connection of its own."""
