"""One request as the application understands it, and what its trace context is (03 A5, A13)."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from iii.modules.http.headers import Headers
from iii.protocol.tracecontext import valid_traceparent


class Request:
    """The head of a request; `headers` as ASGI has them: lower-case names, raw values, repeats kept."""

    __slots__ = ("headers", "method", "path", "query")

    def __init__(self, scope: MutableMapping[str, Any]) -> None:
        self.method: str = scope["method"].upper()
        self.path: str = scope["raw_path"].decode("latin-1")
        self.query: bytes = scope["query_string"]
        self.headers: Headers = list(scope["headers"])

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    @property
    def traceparent(self) -> str | None:
        value = self.header(b"traceparent")
        return None if value is None else valid_traceparent(value.decode("latin-1"))

    @property
    def baggage(self) -> str | None:
        values = [value.decode("latin-1") for key, value in self.headers if key == b"baggage"]
        return ",".join(values) or None

    @property
    def content_length(self) -> int:
        """0 if it is not said."""
        length = self.header(b"content-length")
        return int(length) if length is not None and length.isdigit() else 0

    @property
    def has_body(self) -> bool:
        return self.content_length > 0 or self.header(b"transfer-encoding") is not None
