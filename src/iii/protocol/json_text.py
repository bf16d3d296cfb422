"""JSON text that is looked at without being decoded: depth, repairs, the names of a broken message (01 §4, L14, I13).

A text may have 64 MiB and be made by an enemy, and the event loop waits meanwhile: all of it runs at the speed of C over
pieces, and what Python does for each string, bracket or number has a bound.
"""

import re
import sys
from collections.abc import Iterator
from typing import Self

import msgspec
from msgspec import Raw

from iii.protocol.limits import KIB, MENDED_BYTES, MIB

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


# -- repairs ------------------------------------------------------------------------------------------------------

_STRINGS_LOOKED_AT = 100_000  # some 20 ms
_SURROGATES_MENDED = 100_000
_LONE_SURROGATE = re.compile(
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


# -- names --------------------------------------------------------------------------------------------------------


NAMED_BYTES = 1 * MIB  # of one text that identifies; a longer one identifies nothing


class Named(msgspec.Struct):
    """What identifies a message whose other members are broken; None where there is no such text.

    Attributes:
        void: whether a call wants no answer (I3).
    """

    type: str | None = None
    invocation_id: str | None = None
    function_id: str | None = None
    id: str | None = None
    trigger_type: str | None = None
    void: bool = False

    @classmethod
    def of(cls, message: object) -> Self:
        """By its attributes of these names, whatever they are."""
        found = cls()
        for name in TEXTS:
            value = getattr(message, name, None)
            if isinstance(value, str) and len(value) <= NAMED_BYTES:
                setattr(found, name, value)
        return found


TEXTS = ("type", "invocation_id", "function_id", "id", "trigger_type")


_NOTHING = Raw(b"null")


class _Sent(msgspec.Struct):
    """The same members as they came, of any type: no objects are made of what should be a text."""

    type: Raw = _NOTHING
    invocation_id: Raw = _NOTHING
    function_id: Raw = _NOTHING
    id: Raw = _NOTHING
    trigger_type: Raw = _NOTHING
    action: Raw = _NOTHING


class _Action(msgspec.Struct):
    type: str = ""


_sent = msgspec.json.Decoder(_Sent)
_string = msgspec.json.Decoder(str)
_action = msgspec.json.Decoder(_Action)
_DECODED_BYTES = 4 * MIB  # larger ones are read at both ends only
_SKIPPED_LEVELS = 5_000  # some 1 MB of stack
_END_BYTES = 64 * KIB
_SCALAR = rb'"(?:[^"\\]|\\.){0,300}+"|true|false|null|-?\d[\d.eE+-]{0,30}+'
_FIRST_MEMBER = re.compile(rb'\s*+[{,]\s*+"(\w{1,20}+)"\s*+:\s*+(%b)\s*+(?=[,}])' % _SCALAR, re.DOTALL)
_LAST_MEMBERS = re.compile(rb'(?:,\s*+"\w{1,20}+"\s*+:\s*+(?:%b)\s*+){1,12}+}\s*+\Z' % _SCALAR, re.DOTALL)


def names_of(data: bytes, at_leisure: bool = False) -> Named:
    """What a message names that cannot be read: by decoding what identifies it, else by its first and last members.

    Members between two containers are found by decoding only.

    Args:
        at_leisure: no event loop waits: a text of any size may be decoded.
    """
    if at_leisure or len(data) <= _DECODED_BYTES:
        sent = _sent_members(data)
        if sent is None and (mended := mend_json(data)) is not data:
            sent = _sent_members(mended)
        if sent is not None:
            texts = {name: _text(getattr(sent, name)) for name in TEXTS}
            return Named(**texts, void=_is_void(sent.action))
    found = Named()
    _take_members(found, data[:_END_BYTES])
    last = _LAST_MEMBERS.search(data[-_END_BYTES:])
    if last is not None:
        _take_members(found, last[0])
    return found


def _sent_members(data: bytes) -> _Sent | None:
    recursion_limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(max(recursion_limit, _SKIPPED_LEVELS))  # Python 3.11 counts the decoder's levels by it
        return _sent.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    finally:
        sys.setrecursionlimit(recursion_limit)


def _text(sent: Raw) -> str | None:
    """The text, if it is one that identifies."""
    if not 0 < memoryview(sent).nbytes - 2 <= NAMED_BYTES:
        return None
    try:
        return _string.decode(sent)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _is_void(action: Raw) -> bool:
    try:
        return _action.decode(action).type == "void"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _take_members(found: Named, text: bytes) -> None:
    """Members with scalar values from the beginning of the text on."""
    member = _FIRST_MEMBER.match(text)
    while member is not None:
        name, value = member[1].decode(), member[2]
        if name in TEXTS and getattr(found, name) is None and value[:1] == b'"':
            try:
                setattr(found, name, _string.decode(value))
            except (msgspec.DecodeError, UnicodeDecodeError):
                pass
        member = _FIRST_MEMBER.match(text, member.end())
