"""The head of one request (03 A5, A13)."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from iii.modules.http.headers import header_map
from iii.protocol.tracecontext import valid_traceparent


class Request:
    """`headers` by lower-case name, repeated ones joined; path and query as they were sent."""

    __slots__ = ("baggage", "content_length", "has_body", "headers", "method", "path", "query", "traceparent")

    def __init__(self, scope: MutableMapping[str, Any]) -> None:
        self.method: str = scope["method"].upper()
        self.path: str = scope["raw_path"].decode("latin-1")
        self.query: bytes = scope["query_string"]
        headers = self.headers = header_map(scope["headers"])
        length = headers.get("content-length", "0")
        self.content_length = int(length) if length.isdecimal() else 0
        self.has_body = self.content_length > 0 or "transfer-encoding" in headers
        self.traceparent = valid_traceparent(headers.get("traceparent"))
        self.baggage = headers.get("baggage")
