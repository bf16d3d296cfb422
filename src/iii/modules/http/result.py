"""The response that a function's result stands for (03 §A7, §A9.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from iii.modules.http.answer import JSON_TYPE, Answer
from iii.modules.http.headers import (
    HEAD_BYTES,
    HeadTooLarge,
    content_type_of,
    response_headers,
    without_content_type,
    without_length,
)
from iii.modules.http.json_body import compact
from iii.protocol.json_text import BAD_JSON
from iii.protocol.media_types import is_json

NO_BODY = (204, 205, 304)


class _Result(Struct):
    status_code: Raw | UnsetType = UNSET
    old_status: Raw | UnsetType = msgspec.field(name="statusCode", default=UNSET)  # Python models, by alias
    headers: Raw | UnsetType = UNSET
    body: Raw | UnsetType = UNSET


_decode = msgspec.json.Decoder(_Result).decode


def answer_of(result: bytes) -> Answer | None:
    """Of any JSON value but null; one that is not shaped like a response is an empty one.

    None: a status 1xx, nested too deeply, or a head past the limits.
    """
    return _answer(result, b"{}")


def answer_parts(result: bytes) -> list[bytes]:
    """`answer_of` for another process: status and headers, then the body; nothing for None."""
    answer = answer_of(result)
    return [] if answer is None else [msgspec.msgpack.encode((answer.status, answer.headers)), bytes(answer.body)]


def answer_from(parts: Sequence[bytes | bytearray]) -> Answer | None:
    """What `answer_parts` tells."""
    if not parts:
        return None
    head, body = parts
    status, headers = msgspec.msgpack.decode(head, type=tuple[int, list[tuple[bytes, bytes]]])
    return Answer(status, headers, body)


def answer_of_middleware(response: bytes) -> Answer | None:
    """Of the `response` beside `respond`; without a body it is null."""
    return _answer(response, b"null")


def _answer(result: bytes, no_body: bytes) -> Answer | None:
    try:
        sent = _decode(result)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Answer(200, [JSON_TYPE], no_body)
    except RecursionError:  # nested more deeply than can be skipped over
        return None
    status = _status(sent.old_status if sent.status_code is UNSET else sent.status_code)
    if status < 200:
        return None
    try:
        headers = [] if sent.headers is UNSET else without_length(response_headers(_headers(sent.headers)))
    except HeadTooLarge:
        return None
    if status in NO_BODY:  # and nothing that would describe one; 304 speaks of the body that the client has
        return Answer(status, headers if status == 304 else without_content_type(headers), b"")
    text = no_body if sent.body is UNSET else bytes(sent.body)
    content_type = content_type_of(headers)
    if content_type is None:
        headers.append(JSON_TYPE)
        body = compact(text)
    else:
        body = _typed_body(text, content_type)
    return Answer(status, headers, body)


def _status(sent: Raw | UnsetType) -> int:
    """An integer from 100 to 999, also one spelt as a float; 200 for anything else."""
    if sent is UNSET:
        return 200
    try:
        status = float(bytes(sent))
    except ValueError:
        return 200
    return int(status) if 100 <= status <= 999 and status.is_integer() else 200


def _typed_body(text: bytes, content_type: bytes) -> bytes:
    """Beside an explicit content type: a string as it is, nothing for null, JSON for the rest."""
    match text[:1]:
        case b'"' if b"\\" not in text:  # what is in it is UTF-8 already, and may be megabytes
            return text[1:-1]
        case b'"':
            value = _value(Raw(text))
            return value.encode("utf-8", "replace") if isinstance(value, str) else text
        case b"n":
            return b""
        case b"{" if not is_json(content_type.decode("latin-1")) and b'"Buffer"' in text:
            data = _buffer(text)
            return compact(text) if data is None else data
        case _:
            return compact(text)


class _Buffer(Struct, forbid_unknown_fields=True):
    """How Node writes bytes as JSON."""

    type: str
    data: list[int]


def _buffer(text: bytes) -> bytes | None:
    try:
        sent = msgspec.json.decode(text, type=_Buffer)
        return bytes(sent.data) if sent.type == "Buffer" else None
    except (msgspec.DecodeError, ValueError):
        return None


_decode_headers = msgspec.json.Decoder(float_hook=str).decode  # numbers as they were spelt: 1e400 is one


def _headers(text: Raw) -> Any:
    """None if they cannot be decoded, as `_value`. Raises HeadTooLarge."""
    if len(bytes(text)) > HEAD_BYTES:
        raise HeadTooLarge
    try:
        return _decode_headers(text)
    except BAD_JSON:
        return None


def _value(text: Raw) -> Any:
    """None if a string in it has half a surrogate pair."""
    try:
        return msgspec.json.decode(text)
    except BAD_JSON:
        return None
