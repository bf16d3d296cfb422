"""The head of a streamed response, as control messages make it (03 A6.1)."""

from __future__ import annotations

import msgspec

from iii.modules.http.headers import Headers, response_headers


class StreamHead:
    """200 without headers, until told otherwise; what makes no sense is passed over."""

    __slots__ = ("headers", "status")

    def __init__(self) -> None:
        self.status = 200
        self.headers: Headers = []

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
                    self._set(response_headers({name: value for name, value in sent.items() if _is_text(value)}))

    def _set(self, headers: Headers) -> None:
        names = {name for name, _ in headers}
        self.headers = [header for header in self.headers if header[0] not in names] + headers


def _is_text(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value))
