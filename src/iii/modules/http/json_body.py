"""JSON in requests and responses (03 §A5.1, §A7, P1)."""

from __future__ import annotations

import msgspec

from iii.protocol.json_text import BAD_JSON, is_json, nests_deeper_than
from iii.protocol.limits import KIB, NESTING_LEVELS

LARGE_BYTES = 512 * KIB  # a larger text is read by another process: a few ms a MiB, while all others wait
COMPACT_BYTES = 256 * KIB  # larger texts are sent as they came: to take escapes out takes up to 130 ms a MiB
_NULL = b"null"
_decode = msgspec.json.decode


def json_or_null(content: bytes) -> bytes:
    """The text itself if it is JSON by RFC 8259 in UTF-8 and not nested too deeply, else null."""
    return content if not nests_deeper_than(content, NESTING_LEVELS) and is_json(content) else _NULL


def judged(content: bytes) -> list[bytes]:
    """For another process: nothing if `json_or_null` says null."""
    return [] if json_or_null(content) is _NULL else [b""]


def compact(text: bytes) -> bytes:
    """JSON without spaces between its parts and without escapes for what UTF-8 has, up to `COMPACT_BYTES`."""
    if len(text) > COMPACT_BYTES:
        return text
    if b"\\u" in text:
        try:
            return msgspec.json.encode(_decode(text))
        except BAD_JSON:
            pass
    if b" " in text or b"\n" in text or b"\t" in text or b"\r" in text:
        return msgspec.json.format(text, indent=-1)
    return text
