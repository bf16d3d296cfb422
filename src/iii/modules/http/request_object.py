"""What functions are told of a request (03 §A5, §A9.3)."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from iii.engine.channel_refs import ChannelRef

_encode = msgspec.json.Encoder().encode


class _Trigger(Struct):
    path: str
    method: str
    type: str = "http"


class _Request(Struct, omit_defaults=True):
    query_params: dict[str, str]
    path_params: dict[str, str]
    headers: dict[str, str]
    path: str
    method: str
    body: Raw
    trigger: _Trigger
    request_body: ChannelRef | UnsetType = UNSET
    response: ChannelRef | UnsetType = UNSET


class _MiddlewareRequest(Struct):
    path_params: dict[str, str]
    query_params: dict[str, str]
    headers: dict[str, str]
    method: str


class _MiddlewareInput(Struct):
    phase: str
    request: _MiddlewareRequest
    context: dict[str, str]


def request_object(
    *,
    api_path: str,
    method: str,
    path_params: dict[str, str],
    query: bytes,
    headers: dict[str, str],
    body: bytes,
    request_ref: ChannelRef | None = None,
    response_ref: ChannelRef | None = None,
) -> bytes:
    """As JSON; `body` is JSON already. Without references it is what a condition gets."""
    return _encode(
        _Request(
            query_params(query) if query else {},
            path_params,
            headers,
            api_path,
            method,
            Raw(body),
            _Trigger(api_path, method),
            UNSET if request_ref is None else request_ref,
            UNSET if response_ref is None else response_ref,
        )
    )


def middleware_input(
    phase: str, path_params: dict[str, str], query: bytes, headers: dict[str, str], method: str
) -> bytes:
    """No path, no body, no channels."""
    request = _MiddlewareRequest(path_params, query_params(query), headers, method)
    return _encode(_MiddlewareInput(phase, request, {}))


def query_params(query: bytes) -> dict[str, str]:
    """Decoded like a form: `+` is a space, a broken escape stays, invalid UTF-8 is replaced; the last of a key counts."""
    params: dict[str, str] = {}
    for pair in query.split(b"&"):
        if pair:
            key, _, value = pair.partition(b"=")
            params[_text(key)] = _text(value)
    return params


def _text(part: bytes) -> str:
    return unquote_to_bytes(part.replace(b"+", b" ")).decode("utf-8", "replace")
