"""Whom a message names that cannot be decoded, so that a caller who waits is answered all the same (I13, 01 §4).

A message may have 64 MiB and be made by an enemy, and the event loop waits meanwhile: decoding runs at the speed of C, and
what Python looks at itself has a bound.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Self

import msgspec
from msgspec import Raw

from iii.protocol.json_text import BAD_JSON, mend_json
from iii.protocol.limits import KIB, MIB

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
_TOKENS = 20_000  # looked at in it: some 5 ms
_COMPLETED_BYTES = 512 * KIB  # a larger text is not decoded again and again
_JUNK_BYTES = 4 * KIB  # before the first name of a member, at most
_OBJECTS = 10  # of one text, until one names anybody


def names_of(data: bytes, at_leisure: bool = False) -> Named:
    """What a message names that cannot be read, whenever a person could tell it from the text.

    That is: by decoding what identifies it; else what is legible of its first object, whatever stands before and behind
    that object and whatever is wrong within. Members between two containers of a message of more than 64 KiB are found by
    decoding only.

    Args:
        at_leisure: no event loop waits: a text of any size may be decoded.
    """
    whole = at_leisure or len(data) <= _DECODED_BYTES
    members = _decoded(data) if whole else None
    if members is None:
        members = _legible(data, whole)
    texts = {name: _text(members[name]) for name in TEXTS if name in members}
    return Named(**texts, void=_is_void(members.get("action", _NOTHING)))


Members = Mapping[str, Raw | bytes]

_TRAILING = re.compile(r"trailing characters \(byte (\d+)\)")


def _decoded(data: bytes, mend: bool = True) -> Members | None:
    """The members of the first object of the text that names anybody; None if the text does not begin with one."""
    recursion_limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(max(recursion_limit, _SKIPPED_LEVELS))  # Python 3.11 counts the decoder's levels by it
        sent = _first_naming(data)
        if not _names_anybody(sent) and mend and (mended := mend_json(data)) is not data:
            sent = _first_naming(mended) or sent
    finally:
        sys.setrecursionlimit(recursion_limit)
    return None if sent is None else msgspec.structs.asdict(sent)


def _first_naming(data: bytes) -> _Sent | None:
    first, rest = None, memoryview(data)
    for _ in range(_OBJECTS):
        sent, end = _object(rest)
        if sent is None:
            break
        if _names_anybody(sent):
            return sent
        first = first or sent
        rest = rest[end + max(0, bytes(rest[end : end + 64]).find(b"{")) :]
    return first


def _names_anybody(sent: _Sent | None) -> bool:
    return sent is not None and (sent.invocation_id is not _NOTHING or sent.id is not _NOTHING)


def _object(text: memoryview) -> tuple[_Sent | None, int]:
    """The object at the beginning, and its end."""
    detail = ""
    for missing in (b"", b"}", b'"}'):
        if missing and ("truncated" not in detail or len(text) > _COMPLETED_BYTES):
            break
        try:
            return _sent.decode(bytes(text) + missing if missing else text), len(text)
        except BAD_JSON as error:
            detail = str(error)
        trailing = _TRAILING.search(detail)
        if trailing is not None:
            end = int(trailing[1]) - 1
            return _sent.decode(text[:end]), end
    return None, 0


_STRING = (
    rb"""(?:"(?:[^"\\]|\\.){%b}+"|'(?:[^'\\]|\\.){%b}+')"""  # in the quotes of JSON, or in those that Python prints
)
_SHORT, _MEDIUM = _STRING % (b"1,120", b"1,120"), _STRING % (b"0,300", b"0,300")
_NAME = re.compile(
    rb"""\A[][{}\s]{0,16}+([^][{}"',:]{0,120}"\s*+:)|%b\s*+:""" % _SHORT, re.DOTALL
)  # 1: it lost its beginning
_ENCODED_TWICE = re.compile(rb'[^"\w]*+"[\s\[]*+\{\s*+\\')
_TOKEN = re.compile(rb""""(?:[^"\\]|\\.)*+(?:"|\\?\Z)|'(?:[^'\\]|\\.)*+(?:'|\\?\Z)|[\[\]{}:,]""", re.DOTALL)
_LAST_MEMBERS = re.compile(
    rb"""((?:,\s*+%b\s*+:\s*+(?:%b|[\w.+-]{1,32}+)\s*+){1,12}+)}?[^][{}"']{0,100}+]?[^][{}"']{0,100}+\Z"""
    % (_SHORT, _MEDIUM),
    re.DOTALL,
)  # behind two braces they may be those of a payload


def _legible(data: bytes, whole: bool) -> Members:
    """The members that a person would read."""
    if whole and _ENCODED_TWICE.match(data, 0, _END_BYTES):
        start = data.index(b'"')
        data = (_text(data[start : data.rindex(b'"') + 1]) or "").encode()
    head = _without_nul(data[:_END_BYTES])
    first = _NAME.search(head, 0, _JUNK_BYTES)
    if first is None:
        return {}
    # whatever came before the first name: a byte order mark, a bracket, two braces, none
    if first[1] is None:
        return _from_first_name(data, head, first.start(), b"{", whole)
    inner = _NAME.search(head, first.end(1), _JUNK_BYTES)
    looks = 1 if inner is None else 2
    members = _from_first_name(data, head, first.start(1), b'{"', whole, looks)
    if inner is None or any(_text(members[name]) for name in TEXTS if name in members):
        return members
    # what looked like the rest of a name was junk
    whole = whole and not _DECODED_BYTES // looks < len(data) <= _DECODED_BYTES  # more is decoded at leisure only
    return _from_first_name(data, head, inner.start(), b"{", whole, looks, members)


def _from_first_name(
    data: bytes, head: bytes, start: int, opening: bytes, whole: bool, looks: int = 1, found: Members | None = None
) -> Members:
    """The members of an object that is without its beginning.

    Args:
        looks: which together take no longer than one.
        found: by the one before, the last members among them.
    """
    mend = len(data) <= _COMPLETED_BYTES // looks
    members = _decoded(opening + _without_nul(data)[start:], mend) if whole else None
    if members is not None:
        return members
    if found is None:
        last = _LAST_MEMBERS.search(_without_nul(data[-_END_BYTES:]))
        found = {} if last is None else dict(_members(last[1]))
    return {**found, **dict(_members(opening[1:] + head[start:], _TOKENS // looks))}


def _without_nul(text: bytes) -> bytes:
    """The text itself; ASCII text that came as UTF-16 or UTF-32, with or without a byte order mark, as ASCII."""
    return text.replace(b"\x00", b"") if b"\x00" in text else text


def _members(text: bytes, tokens: int = _TOKENS) -> Iterator[tuple[str, bytes]]:
    """Texts, objects and lists that are members of a broken object, from the first name up to its end."""
    depth, name, start, string = 0, None, 0, b""
    for _, token in zip(range(tokens), _TOKEN.finditer(text), strict=False):
        mark = text[token.start()]
        if mark in b"[{":
            depth += 1
        elif mark in b"]}":
            depth -= 1
            if depth == 0 and name is not None:
                yield name, text[start : token.end()].strip()
                name = None
            if depth < 0:
                return
        elif depth:
            continue
        elif mark == _COLON:
            name, start = _text(string), token.end()
        elif mark in _QUOTES:
            string = _double_quoted(token[0])
            if name is not None:
                yield name, string
                name = None
        else:
            name = None  # a number or a word identifies nothing


def _double_quoted(value: bytes) -> bytes:
    return b'"%b"' % value[1:-1] if value[:1] == b"'" == value[-1:] else value


_QUOTES = b"\"'"
_COLON = ord(":")


def _text(sent: Raw | bytes) -> str | None:
    """The text, if it is one that identifies."""
    if not 0 < memoryview(sent).nbytes - 2 <= NAMED_BYTES:
        return None
    try:
        return _string.decode(sent)
    except BAD_JSON:
        return None


def _is_void(action: Raw | bytes) -> bool:
    try:
        return _action.decode(action).type == "void"
    except BAD_JSON:
        return False
