"""The head of a streamed response, as control messages make it (03 A6.1)."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from iii.modules.http.headers import Headers, response_headers, without_length

_LENGTH = re.compile(rb"[0-9]{1,18}").fullmatch


class StreamHead:
    """200 without headers, until told otherwise; what makes no sense is passed over."""

    __slots__ = ("headers", "status")

    def __init__(self) -> None:
        self.status = 200
        self.headers: Headers = []

    @property
    def length(self) -> int | None:
        """Of the body, where the handler declared it."""
        return next((int(value) for name, value in self.headers if name == b"content-length"), None)

    def apply(self, text: bytes) -> None:
        """One control message."""
        try:
            message = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if not isinstance(message, dict):
            return
        match message.get("type"):
            case "set_status":
                status = message.get("status_code")
                if type(status) is int and 200 <= status <= 599:
                    self.status = status
            case "set_headers":
                sent = message.get("headers")
                if isinstance(sent, dict):
                    self._set({name: value for name, value in sent.items() if _is_text(value)})

    def _set(self, sent: dict[str, Any]) -> None:
        """Each name replaces itself however it is spelt; a list repeats it."""
        latest: dict[bytes, Headers] = {}
        for name, value in sent.items():
            if headers := _sendable(response_headers({name: value})):
                latest[headers[0][0]] = headers
        self.headers = [header for header in self.headers if header[0] not in latest]
        for headers in latest.values():
            self.headers += headers


def _sendable(headers: Headers) -> Headers:
    """Without a length that is none: the server would drop the connection instead of answering."""
    lengths = [value for name, value in headers if name == b"content-length"]
    return without_length(headers) if lengths and not (len(lengths) == 1 and _LENGTH(lengths[0])) else headers


def _is_text(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value))
