"""The head of a streamed response, as control messages make it (03 §A6.1)."""

from __future__ import annotations

import logging
import re

import msgspec

from iii.modules.http.headers import HEAD_BYTES, MOST_HEADERS, Headers, HeadTooLarge, response_headers, without_length
from iii.protocol.json_text import BAD_JSON
from iii.protocol.log_event import LogEvent

HEAD_EXCEEDED = LogEvent(
    __name__, "http.stream_head_exceeded", logging.WARNING, "Control messages of a response ignored: its head exceeds a limit",
    means="A handler sends more headers or control messages, or larger ones, than the head of a response takes.",
    do="Set status and headers once, before the body.",
)  # fmt: skip
HEADER_LEFT_OUT = LogEvent(
    __name__, "http.stream_header_left_out", logging.WARNING, "Header of a streamed response left out: not text",
    means="A handler set a header to a value that is neither text nor a list of texts; the texts of a list are sent.",
    do="Send texts from the handler: `\"5\"`, not `5`.",
)  # fmt: skip

MOST_MESSAGES = 1000  # of control; all that have come are applied in one turn of the loop
_LENGTH = re.compile(rb"[0-9]{1,18}").fullmatch


class StreamHead:
    """200 without headers, until told otherwise; what makes no sense, or is past the limits, is passed over."""

    __slots__ = ("_messages", "_over", "headers", "status")

    def __init__(self) -> None:
        self.status = 200
        self.headers: Headers = []
        self._messages = 0
        self._over = False  # a limit, and the log says so

    @property
    def length(self) -> int | None:
        """Of the body, where the handler declared it."""
        return next((int(value) for name, value in self.headers if name == b"content-length"), None)

    def apply(self, text: bytes) -> None:
        """One control message."""
        self._messages += 1
        if self._messages > MOST_MESSAGES or len(text) > HEAD_BYTES:
            self._pass_over()
            return
        try:
            message = msgspec.json.decode(text)
        except BAD_JSON:
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
                    try:
                        self._set({name: texts for name, value in sent.items() if (texts := _texts(name, value))})
                    except HeadTooLarge:
                        self._pass_over()

    def _set(self, sent: dict[str, list[str]]) -> None:
        """Each name replaces itself however it is spelt; a list repeats it. Raises HeadTooLarge."""
        if len(sent) > MOST_HEADERS:
            raise HeadTooLarge
        latest: dict[bytes, Headers] = {}
        for name, value in sent.items():
            if headers := _sendable(response_headers({name: value})):
                latest[headers[0][0]] = headers
        headers = [header for header in self.headers if header[0] not in latest]
        for added in latest.values():
            headers += added
        if len(headers) > MOST_HEADERS:
            raise HeadTooLarge
        self.headers = headers

    def _pass_over(self) -> None:
        if not self._over:
            self._over = True
            HEAD_EXCEEDED(limit_headers=MOST_HEADERS, limit_messages=MOST_MESSAGES, limit_bytes=HEAD_BYTES)


def _sendable(headers: Headers) -> Headers:
    """Without a length that is none: the server would drop the connection instead of answering."""
    lengths = [value for name, value in headers if name == b"content-length"]
    return without_length(headers) if lengths and not (len(lengths) == 1 and _LENGTH(lengths[0])) else headers


def _texts(name: str, value: object) -> list[str]:
    """One text, or those of a list; anything else is left out by itself."""
    items = value if isinstance(value, list) else [value]
    texts = [each for each in items if isinstance(each, str)]
    if len(texts) < len(items):
        HEADER_LEFT_OUT(header=name[:100])
    return texts
