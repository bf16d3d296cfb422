"""JSON text that is looked at without being decoded: depth, number of values, repairs (01 §4, L14).

A text may have 64 MiB and be made by an enemy, and the event loop waits meanwhile: all of it runs at the speed of C over
pieces, and what Python does for each string, bracket or number has a bound.
"""

from collections.abc import Iterator

import msgspec

from iii.protocol.late_pattern import late_pattern
from iii.protocol.limits import MENDED_BYTES, MIB, NESTING_LEVELS

BAD_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a text from outside: no JSON, not what was declared, no UTF-8, nested too deeply."""

PLAIN_BYTES = 2 * NESTING_LEVELS  # no text that short nests deeper
_PIECE_BYTES = 1 * MIB
_BRACKETS = bytes.maketrans(b"{}", b"[]")  # which kind is the decoder's business
_OTHERS = bytes(set(range(256)) - set(b'[]{}"'))
_ODD_STRINGS = 50_000  # of one piece, with brackets in them: some 5 ms
_RUN = 256  # brackets judged by their number alone, where that is enough
_CLOSE_LOOKS = 2_000  # at runs where it is not: some 20 ms


def nests_deeper_than(data: bytes, levels: int) -> bool:
    """Whether the JSON text nests deeper than `levels`.

    True also for a text of many MiB that would take long to tell: one that stays near the limit for half a million
    brackets, or has 50,000 strings with single brackets in a MiB.
    """
    if data.count(b"[") + data.count(b"{") <= levels:
        return False
    depth, close_looks = 0, _CLOSE_LOOKS
    in_string = b""  # the quote that is still open
    for piece in _pieces(data):
        outline = in_string + _outline(piece)
        in_string = b'"' if outline.count(b'"') % 2 else b""
        if b'"' in outline:
            if outline.count(b'"') > 2 * _ODD_STRINGS:
                return True
            outline = b"".join(outline.split(b'"')[::2])
        for start in range(0, len(outline), _RUN):
            run = outline[start : start + _RUN]
            opening = run.count(b"[")
            if depth + opening > levels:
                close_looks -= 1
                if close_looks < 0 or _climbs(run, depth, levels):
                    return True
            depth += 2 * opening - len(run)
    return False


def _pieces(data: bytes) -> Iterator[bytes]:
    """The text cut up, never within an escape."""
    start, size = 0, len(data)
    while start < size:
        end = min(start + _PIECE_BYTES, size)
        while end < size and data[end - 1] == _BACKSLASH:
            end += 1
        yield data[start:end]
        start = end


_BACKSLASH = ord("\\")


def _outline(piece: bytes) -> bytes:
    """Brackets and quotes; two quotes side by side go, which leaves every bracket inside or outside as it was."""
    if b"\\" in piece:
        piece = piece.replace(rb"\\", b"").replace(rb"\"", b"")
    return piece.translate(_BRACKETS, _OTHERS).replace(b'""', b"")


def _climbs(run: bytes, depth: int, levels: int) -> bool:
    for bracket in run:
        depth += 1 if bracket == _OPENING else -1
        if depth > levels:
            return True
    return False


_OPENING = ord("[")


def holds_more_than(data: bytes, values: int) -> bool:
    """Whether more than so many values are in the JSON text: to decode them takes 50 ns each, and a list or an object 150.

    Lists and objects count three times. Texts of strings do not count, whatever is in them.
    """
    if len(data) <= values:
        return False
    if b"\\" in data:
        data = data.replace(rb"\\", b"").replace(rb"\"", b"")
    if data.count(b'"') > 2 * values:
        return True
    outside = b"".join(data.split(b'"')[::2])
    return outside.count(b",") + 2 * (outside.count(b"[") + outside.count(b"{")) > values


def most_values(data: bytes) -> int:
    """Not fewer than there are in a JSON text; what is in strings may count."""
    return 1 + data.count(b",") + data.count(b"[") + data.count(b"{")


_skip = msgspec.json.Decoder(msgspec.Raw).decode  # to make objects would take up to 50 times as long


def is_json(text: bytes) -> bool:
    """Whether all of it is one JSON value in UTF-8; no objects are made of it."""
    try:
        if not text.isascii():
            text.decode()  # not looked at otherwise
        _skip(text)
    except BAD_JSON:
        return False
    return True


def has_number_beyond_double(text: bytes) -> bool:
    """Whether a number of the JSON text is larger than any double, so that most programs cannot read the text.

    True also for a text of more than a MiB in which only a string looks like one.
    """
    if _LARGE_NUMBER.search(text) is None:
        return False
    if len(text) > MIB:
        return True
    try:
        msgspec.json.decode(text)
    except BAD_JSON:
        return True
    return False


_LARGE_NUMBER = late_pattern(rb"[eE]\+?[0-9]{3}|[0-9]{200}")


# -- repairs ------------------------------------------------------------------------------------------------------

_STRINGS_LOOKED_AT = 100_000  # some 20 ms
_SURROGATES_MENDED = 100_000
_LONE_SURROGATE = late_pattern(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_ESCAPED_BACKSLASH = b"\x00"  # stand-ins: JSON has no control characters
_ESCAPED_QUOTE = b"\x01"
_CONSTANT = b"\x02"
_STAND_INS = (_ESCAPED_BACKSLASH, _ESCAPED_QUOTE, _CONSTANT)
_NOT_MARKED = bytes(set(range(256)) - set(b'"' + _CONSTANT))


def mend_json(data: bytes) -> bytes:
    """`NaN`, `Infinity` and `-Infinity` outside strings as null, unpaired surrogate escapes as U+FFFD.

    The text itself where there is nothing to mend, and where that would take long: above `MENDED_BYTES`, or with more
    than 100,000 strings where some have the words in them, or 100,000 unpaired surrogates.
    """
    constants = b"NaN" in data or b"Infinity" in data
    surrogates = rb"\ud" in data or rb"\uD" in data
    if not (constants or surrogates) or len(data) > MENDED_BYTES or any(one in data for one in _STAND_INS):
        return data
    escapes = b"\\" in data
    if escapes:
        data = data.replace(rb"\\", _ESCAPED_BACKSLASH).replace(rb"\"", _ESCAPED_QUOTE)
    if constants:
        data = _without_constants(data)
    if surrogates:
        data = _LONE_SURROGATE.sub(rb"\\ufffd", data, _SURROGATES_MENDED)
    if escapes:
        data = data.replace(_ESCAPED_QUOTE, rb"\"").replace(_ESCAPED_BACKSLASH, rb"\\")
    return data


def _without_constants(data: bytes) -> bytes:
    marked = data.replace(b"NaN", _CONSTANT).replace(b"-Infinity", _CONSTANT).replace(b"Infinity", _CONSTANT)
    if b'"' not in marked.translate(None, _NOT_MARKED).replace(b'""', b""):  # nearly always: no string has one
        return marked.replace(_CONSTANT, b"null")
    if data.count(b'"') > 2 * _STRINGS_LOOKED_AT:
        return data
    parts = data.split(b'"')
    parts[::2] = [
        part.replace(b"NaN", b"null").replace(b"-Infinity", b"null").replace(b"Infinity", b"null")
        for part in parts[::2]
    ]
    return b'"'.join(parts)
