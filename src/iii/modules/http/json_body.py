"""JSON in requests and responses (03 A5.1, A7, P1)."""

from __future__ import annotations

import re

import msgspec

from iii.protocol.json_text import nests_deeper_than
from iii.protocol.limits import NESTING_LEVELS

_NULL = b"null"
_JSON_SUBTYPE = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+/[!#$%&'*+\-.^_`|~0-9a-z]*\+json").fullmatch
_decode = msgspec.json.decode


def is_json(content_type: str | None) -> bool:
    """Whether the essence of a media type says so: `application/json`, or a subtype that ends in `+json` (P1).

    A header that only contains the words does not: browsers send such ones for any page, without a preflight.
    """
    if content_type is None:
        return False
    essence = content_type.partition(";")[0].strip().lower()
    return essence == "application/json" or _JSON_SUBTYPE(essence) is not None


def json_or_null(content: bytes) -> bytes:
    """The text itself if it is JSON by RFC 8259 in UTF-8 and not nested too deeply, else null."""
    try:
        content.decode()
        if nests_deeper_than(content, NESTING_LEVELS):
            return _NULL
        _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _NULL
    return content


def compact(text: bytes) -> bytes:
    """JSON without spaces between its parts and without escapes for what UTF-8 has."""
    if b"\\u" in text:
        try:
            return msgspec.json.encode(_decode(text))
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            pass
    if b" " in text or b"\n" in text or b"\t" in text or b"\r" in text:
        return msgspec.json.format(text, indent=-1)
    return text
