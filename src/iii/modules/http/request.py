"""The head of one request (03 §A5, §A13)."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from iii.engine.observing.origin import DEPTH_ENTRY
from iii.modules.http.headers import header_map
from iii.protocol.tracecontext import baggage_without, valid_traceparent

if TYPE_CHECKING:
    from iii.engine.tracing import OpenSpan
    from iii.modules.http.trigger_config import Endpoint

# RFC 3986 without the comma, which stands between the values of repeated headers
_HOST = re.compile(r"([A-Za-z0-9.\-_~%!$&'()*+;=]*|\[[0-9A-Za-z:.%_\-]+\])(:[0-9]{0,5})?", re.ASCII)
_OF_THE_ENGINE = frozenset({DEPTH_ENTRY})  # of baggage: clients do not say it, or no observer would see their calls
_NOT_ASCII = re.compile(rb"[\x80-\xff]")


class Request:
    """`headers` by lower-case name, repeated ones joined; path and query as they were sent. Never raises.

    Attributes:
        traceparent: what the functions that it calls get: the client's, or that of its span.
        failed: a function that it called failed, or its response was broken off.
        endpoint: where it leads, once that was found.
        route: the path of that as it was registered; empty if none matched.
    """

    __slots__ = (
        "baggage", "content_length", "endpoint", "failed", "has_body", "headers", "method", "path", "query", "route", "span",
        "traceparent",
    )  # fmt: skip

    def __init__(self, scope: MutableMapping[str, Any]) -> None:
        self.method: str = scope["method"]
        self.path = _escaped(scope["raw_path"])
        self.query: bytes = scope["query_string"]
        headers = self.headers = header_map(scope["headers"])
        length = headers.get("content-length")
        self.content_length = 0 if length is None else _number(length)
        self.has_body = self.content_length > 0 or "transfer-encoding" in headers
        self.traceparent = valid_traceparent(headers.get("traceparent"))
        baggage = headers.get("baggage")
        self.baggage = None if baggage is None else baggage_without(baggage, _OF_THE_ENGINE)
        self.span: OpenSpan | None = None
        self.failed = False
        self.endpoint: Endpoint | None = None
        self.route = ""

    @property
    def has_valid_host(self) -> bool:
        """One host, or none, which 03 §A1 allows; others mean different things to different readers (RFC 9112 §3.2)."""
        return _HOST.fullmatch(self.headers.get("host", "")) is not None

    def note_error(self, error_id: str) -> None:
        """What the client is told and the log says, so that the trace is found by it (17 §5)."""
        if self.span is not None:
            self.span.note((("iii.error_id", error_id),))

    @property
    def is_plainly_encoded(self) -> bool:
        """Whether its body can be read: chunks, or a length, without a further coding."""
        return self.headers.get("transfer-encoding", "chunked").strip().lower() == "chunked"


def _number(length: str) -> int:
    digits = length.lstrip("0")
    return int(digits) if digits.isdecimal() and len(digits) < 20 else 0


def _escaped(raw_path: bytes) -> str:
    """Characters beyond ASCII as browsers send them: some clients send them as they are."""
    if raw_path.isascii():
        return raw_path.decode("ascii")
    return _NOT_ASCII.sub(lambda found: b"%%%02X" % found[0][0], raw_path).decode("ascii")
