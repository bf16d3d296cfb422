"""The head of an HTTP request, as far as a listener looks at it (07 §1)."""

import re
from base64 import b64decode
from binascii import Error as BadBase64
from typing import NamedTuple

UPGRADE_VERSION = "13"
_KEY_BYTES = 16
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search  # such a byte is never part of a head (RFC 9110 §5.5)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch


class BadRequest(Exception):
    """Not a head of HTTP/1; the text is for the client."""


class RequestHead(NamedTuple):
    """Names of headers are in lower case; of a repeated one the values are joined by a comma.

    Attributes:
        path, query: as in the request, nothing decoded (L9).
        lines: name and value of each header, as it came.
        peer: `ip:port` of the client.
        certified: names in the client's certificate, which the listener has verified.
    """

    method: str
    path: str
    query: str
    version: str
    headers: dict[str, str]
    lines: tuple[tuple[str, str], ...] = ()
    peer: str = ""
    certified: tuple[str, ...] = ()

    @property
    def keeps_alive(self) -> bool:
        options = self.options("connection")
        return "close" not in options if self.version == "HTTP/1.1" else "keep-alive" in options

    @property
    def has_body(self) -> bool:
        return self.headers.get("content-length", "0").strip("0") != "" or "transfer-encoding" in self.headers

    @property
    def wants_websocket(self) -> bool:
        return "upgrade" in self.options("connection") and "websocket" in self.options("upgrade")

    @property
    def upgrade_key(self) -> str | None:
        """The client's `Sec-WebSocket-Key`; None if it has none that counts."""
        key = self.headers.get("sec-websocket-key", "")
        try:
            return key if len(b64decode(key, validate=True)) == _KEY_BYTES else None
        except (BadBase64, ValueError):
            return None

    @property
    def subprotocols(self) -> list[str]:
        """What the client offers, as it wrote it; what is not a token is left out (RFC 6455 §4.1)."""
        offered = self.headers.get("sec-websocket-protocol", "").split(",")
        return [name for each in offered if _TOKEN(name := each.strip())]

    def options(self, header: str) -> list[str]:
        """The values of a list header, in lower case."""
        return [option.strip().lower() for option in self.headers.get(header, "").split(",")]


def read_head(head: bytes) -> RequestHead:
    """Without the empty line at its end. Raises BadRequest."""
    first, *lines = head.decode("latin-1").split("\r\n")
    if _CONTROL(first) or any(map(_CONTROL, lines)):
        raise BadRequest("The request head contains a control character")
    words = first.split(" ")
    if len(words) != 3 or not words[1].startswith("/") or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest("Not an HTTP/1.1 request")
    headers: dict[str, str] = {}
    sent: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest("A header line is malformed")
        name, value = name.lower(), value.strip()
        sent.append((name, value))
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    path, _, query = words[1].partition("?")
    return RequestHead(words[0], path, query, words[2], headers, tuple(sent))
