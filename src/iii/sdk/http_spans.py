"""CLIENT spans around `urllib.request`, whose requests carry the trace on (08 §17.3, 06 §2.6).

The one thing here that concerns the whole process: there is only one `OpenerDirector`. Undone by `stop`.
"""

import os
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, urlsplit

from iii.sdk.spans import RequestSpan

Open = Callable[..., Any]


class HttpSpans:
    """Traces requests of `urllib.request` while it is started; URLs of `OTEL_FETCH_IGNORE_URLS` are left alone."""

    def __init__(self, new_span: Callable[[str], RequestSpan]) -> None:
        self._new_span = new_span
        self._original: Open | None = None
        self._installed: Open | None = None

    def start(self) -> None:
        """Does nothing while another worker of the process does it."""
        if hasattr(urllib.request.OpenerDirector.open, "traced_by_iii"):
            return
        original: Open = urllib.request.OpenerDirector.open
        traced = self._open

        def open_traced(opener: urllib.request.OpenerDirector, fullurl: Any, *rest: Any, **options: Any) -> Any:
            return traced(original, opener, fullurl, *rest, **options)

        self._original, self._installed = original, open_traced
        open_traced.traced_by_iii = True  # type: ignore[attr-defined]
        urllib.request.OpenerDirector.open = open_traced  # type: ignore[assignment,method-assign]

    def stop(self) -> None:
        """Put back what was there, unless somebody else has wrapped it since."""
        if self._original is not None and urllib.request.OpenerDirector.open is self._installed:
            urllib.request.OpenerDirector.open = self._original  # type: ignore[method-assign]

    def _open(
        self, original: Open, opener: urllib.request.OpenerDirector, fullurl: Any, *rest: Any, **more: Any
    ) -> Any:
        request = fullurl if isinstance(fullurl, urllib.request.Request) else urllib.request.Request(fullurl)
        url = urlsplit(request.full_url)
        if url.scheme not in ("http", "https") or is_ignored(request.full_url):
            return original(opener, fullurl, *rest, **more)
        method = request.get_method()
        span = self._new_span(f"{method} {url.path or '/'}")
        _describe(span, _of_request(request, method, url))
        for name, value in (("traceparent", span.traceparent), ("baggage", span.baggage)):
            if value:
                request.add_unredirected_header(name, value)
        try:
            response = original(opener, request, *rest, **more)
        except Exception as error:
            status = getattr(error, "code", None)
            if isinstance(status, int):
                span.set_attribute("http.response.status_code", status)
            span.set_attribute("error.type", str(status) if isinstance(status, int) else type(error).__name__)
            span.note(error)
            raise
        else:
            _describe(span, _of_response(response))
            return response
        finally:
            span.end()


def _describe(span: RequestSpan, attributes: dict[str, str | int]) -> None:
    for key, value in attributes.items():
        span.set_attribute(key, value)


def is_ignored(url: str) -> bool:
    """Whether the URL contains one of the comma-separated texts of `OTEL_FETCH_IGNORE_URLS`."""
    ignored = os.environ.get("OTEL_FETCH_IGNORE_URLS", "").split(",")
    return any(part.strip() and part.strip() in url for part in ignored)


def _of_request(request: urllib.request.Request, method: str, url: SplitResult) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "http.request.method": method,
        "url.full": request.full_url,
        "url.scheme": url.scheme,
        "url.path": url.path or "/",
        "server.address": url.hostname or "",
        "network.protocol.name": "http",
    }
    if url.port is not None:
        attributes["server.port"] = url.port
    if url.query:
        attributes["url.query"] = url.query
    if isinstance(request.data, bytes):
        attributes["http.request.body.size"] = len(request.data)
    content_type = request.get_header("Content-type")
    if content_type:
        attributes["http.request.header.content-type"] = content_type
    return attributes


def _of_response(response: Any) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {"http.response.status_code": response.status}
    size = response.headers.get("Content-Length")
    if size is not None and size.isdigit():
        attributes["http.response.body.size"] = int(size)
    content_type = response.headers.get("Content-Type")
    if content_type:
        attributes["http.response.header.content-type"] = content_type
    return attributes
