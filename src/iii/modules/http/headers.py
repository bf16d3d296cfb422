"""HTTP headers: as handlers get them, and as they may send them (03 §A5, §A6.1, §A7)."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from iii.protocol.limits import KIB
from iii.protocol.log_event import LogEvent

Headers: TypeAlias = list[tuple[bytes, bytes]]

# Of one response; most clients take far less. A head is put together in one turn of the loop.
MOST_HEADERS = 1000
HEAD_BYTES = 256 * KIB  # of the JSON that says what they are

HEADER_INVALID = LogEvent(
    __name__, "http.header_invalid", logging.WARNING, "Response header of a handler left out: it is not valid in HTTP",
    means="The name or the value of a header has a character that HTTP does not allow, such as a line end.",
    do="Correct the handler that sends it.",
)  # fmt: skip
HEADER_REPEATED = LogEvent(
    __name__, "http.header_repeated", logging.WARNING, "Response header of a handler is repeated: the first one is sent",
    means="Clients differ in which one they believe where a response has more than one of these.",
    do="Correct the handler that sends it.",
)  # fmt: skip

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch
_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*").fullmatch

# The server decides about the connection and where a body ends
_SERVERS = frozenset((b"connection", b"transfer-encoding", b"keep-alive", b"upgrade", b"proxy-connection"))

# Of these there is one, or clients differ in which they believe (RFC 9110 §5.3)
_SINGLE = frozenset((b"content-type", b"content-range", b"date", b"etag", b"last-modified", b"location",
                     b"retry-after", b"server"))  # fmt: skip


class HeadTooLarge(Exception):
    """What a handler gave as headers is past a limit."""


def header_map(headers: Headers) -> dict[str, str]:
    """By lower-case name; repeated ones are joined by a comma, cookies by a semicolon."""
    found: dict[str, str] = {}
    for key, value in headers:
        name = key.decode("latin-1")
        text = value.decode("latin-1")
        if name in found:
            text = f"{found[name]}{'; ' if name == 'cookie' else ', '}{text}"
        found[name] = text
    return found


def response_headers(sent: Any) -> Headers:
    """What a handler gave as headers: a map, or a list of `Name: value`. One that is not valid in HTTP is skipped.

    Raises HeadTooLarge: there are more than `MOST_HEADERS`, skipped ones included.
    """
    if isinstance(sent, dict):
        return _valid(_of_map(sent))
    if isinstance(sent, list):
        return _valid(_of_list(sent))
    return []


def content_type_of(headers: Headers) -> bytes | None:
    for name, value in headers:
        if name == b"content-type":
            return value
    return None


def without_content_type(headers: Headers) -> Headers:
    return [header for header in headers if header[0] != b"content-type"]


def without_length(headers: Headers) -> Headers:
    """For a body whose length the server knows."""
    return [header for header in headers if header[0] != b"content-length"]


def _of_map(sent: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in sent.items():
        for each in value if isinstance(value, list) else (value,):
            if isinstance(each, str):
                yield name, each
            elif isinstance(each, bool):
                yield name, str(each).lower()
            elif isinstance(each, int | float) and not isinstance(value, list):
                yield name, str(each)


def _of_list(sent: list[Any]) -> Iterator[tuple[str, str]]:
    for line in sent:
        if isinstance(line, str) and ":" in line:
            name, _, value = line.partition(":")
            yield name, value


def _valid(pairs: Iterable[tuple[str, str]]) -> Headers:
    headers: Headers = []
    for number, (name, text) in enumerate(pairs):
        if number == MOST_HEADERS:
            raise HeadTooLarge
        key = name.encode("utf-8", "replace").strip().lower()
        value = text.encode("utf-8", "replace").strip()
        if not key or key in _SERVERS:
            continue
        if not _NAME(key) or not _VALUE(value):
            HEADER_INVALID(header=name[:100])
            continue
        if key in _SINGLE and any(known == key for known, _ in headers):
            HEADER_REPEATED(header=name[:100])
            continue
        headers.append((key, value))
    return headers
