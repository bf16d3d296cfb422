"""One call as an HTTP request, and what its response means (03 §B3)."""

from __future__ import annotations

import re
from http import HTTPStatus

import msgspec
from msgspec import Raw

from iii.engine.functions import Function
from iii.engine.invocation import Invocation
from iii.modules.http_functions.auth import Secrets
from iii.modules.http_functions.codes import HTTP_ERROR, HTTP_REQUEST_FAILED, INVALID_RESPONSE
from iii.protocol.caller_id import sign
from iii.protocol.errors import InvocationError
from iii.protocol.ids import new_id
from iii.protocol.json_text import BAD_JSON, is_json
from iii.protocol.limits import BAGGAGE_CHARACTERS, KIB
from iii.protocol.messages import NULL, ApiKeyAuth, HttpInvocation

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*")
_DECODED_BYTES = 64 * KIB
_RESERVED = ("x-iii-function-path", "x-iii-invocation-id", "x-iii-timestamp")


def check_headers(invocation: HttpInvocation) -> None:
    """Raises InvocationError for a header that HTTP has not, or that is the engine's."""
    named = [(invocation.auth.header, "")] if isinstance(invocation.auth, ApiKeyAuth) else []
    for name, value in [*(invocation.headers or {}).items(), *named]:
        if _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
            raise HTTP_REQUEST_FAILED(f"header {name!r} is not valid")


def body_of(invocation: Invocation) -> bytes:
    """The payload as another handler would get it, without spaces."""
    caller = invocation.caller
    data = bytes(invocation.data)
    if caller is not None:
        data = sign(data, caller.caller_member)
    return msgspec.json.format(data, indent=-1)


def headers_of(invocation: Invocation, function: Function, body: bytes, now_s: int, secrets: Secrets) -> dict[str, str]:
    """Raises InvocationError if a secret is missing."""
    target = function.invocation
    assert target is not None  # it is HTTP-invoked
    timestamp = str(now_s)
    headers = {
        "Content-Type": "application/json",
        "x-iii-Function-Path": function.id,
        "x-iii-Invocation-ID": invocation.call_id or new_id(),
        "x-iii-Timestamp": timestamp,
        "Accept": "*/*",
    }
    for name, value in (target.headers or {}).items():
        if name.lower() not in _RESERVED:
            _put(headers, name, value)
    if invocation.traceparent is not None:
        headers["x-iii-Trace-ID"] = invocation.traceparent.split("-")[1]
        headers["traceparent"] = invocation.traceparent
    baggage = invocation.baggage
    if baggage and len(baggage) <= BAGGAGE_CHARACTERS and _VALUE.fullmatch(baggage):  # a worker may have sent anything
        headers["baggage"] = baggage
    if target.auth is not None:
        _put(headers, *secrets.auth_header(target.auth, body, timestamp))
    return headers


def result_of(status: int, content: bytes) -> bytes | None:
    """The function's result as JSON, None for none. Raises InvocationError."""
    if status >= 400:
        raise _refusal(status, content)
    if not content:
        return None
    if not _is_result(content):
        if 200 <= status < 300:
            raise INVALID_RESPONSE("the response is not valid JSON in UTF-8, or is nested too deeply")
        return None
    return None if content.strip() == b"null" else content


def _is_result(content: bytes) -> bool:
    """Whether it is JSON whose numbers are doubles; above 64 KiB any number is one: no objects are made to find out."""
    if len(content) > _DECODED_BYTES:
        return is_json(content)
    try:
        msgspec.json.decode(content)
    except BAD_JSON:
        return False
    return True


class _Refusal(msgspec.Struct):
    error: Raw


class _Error(msgspec.Struct):
    """Raw: whatever a stranger puts there, no objects are made of it."""

    code: Raw = NULL
    message: Raw = NULL


def _refusal(status: int, content: bytes) -> InvocationError:
    try:
        sent = msgspec.json.decode(content, type=_Refusal).error
    except BAD_JSON:
        try:
            reason = HTTPStatus(status).phrase
        except ValueError:
            reason = "<unknown status code>"
        return HTTP_ERROR(f"HTTP {status} {reason}")
    try:
        error = msgspec.json.decode(sent, type=_Error)
    except (msgspec.DecodeError, RecursionError):
        error = _Error()
    return InvocationError(_text(error.code, HTTP_ERROR.code), _text(error.message, "HTTP request failed"))


def _text(json: Raw, default: str) -> str:
    try:
        return msgspec.json.decode(json, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return default


def _put(headers: dict[str, str], name: str, value: str) -> None:
    """Replace, whatever its case."""
    for known in [known for known in headers if known.lower() == name.lower()]:
        del headers[known]
    headers[name] = value
