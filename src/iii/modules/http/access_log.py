"""A line for each request, if that is wanted (06 §11)."""

from __future__ import annotations

import logging
from typing import Any

from iii.modules.http.application import HttpApplication
from iii.modules.http.client import Client
from iii.modules.http.durations import CLIENT_LEFT
from iii.modules.http.request import Request
from iii.protocol.log_event import LogEvent

HTTP_REQUEST = LogEvent(
    __name__, "http.request", logging.INFO, "HTTP request",
    means="A request is over; written if `access_log` of `iii-http` is true. `status` 499: its client left before an answer.",
)  # fmt: skip

_PATH_CHARACTERS = 500
_HEADER_CHARACTERS = 200


class LoggedApplication(HttpApplication):
    """The same, with a line for each request."""

    def _over(self, request: Request, client: Client, seconds: float, scope: dict[str, Any]) -> None:
        super()._over(request, client, seconds, scope)
        endpoint, peer, trace = request.endpoint, scope.get("client"), request.traceparent
        HTTP_REQUEST(
            method=request.method,
            path=request.path[:_PATH_CHARACTERS],
            status=client.status or CLIENT_LEFT,
            duration_ms=round(seconds * 1000, 3),
            bytes=0 if request.method == "HEAD" else client.sent_bytes,
            function=None if endpoint is None else endpoint.function_id,
            trace_id=None if trace is None else trace.split("-")[1],
            ip_address=peer[0] if peer else None,
            http_version=scope.get("http_version"),
            user_agent=_header(request, "user-agent"),
            referer=_header(request, "referer"),
        )


def _header(request: Request, name: str) -> str | None:
    value = request.headers.get(name)
    return None if value is None else value[:_HEADER_CHARACTERS]
