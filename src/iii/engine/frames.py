"""The two hot messages, built from bytes: payloads pass through without becoming objects (DESIGN §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from iii.protocol.messages import NULL
from iii.protocol.names import is_builtin_id
from iii.protocol.tracecontext import baggage_for_target

if TYPE_CHECKING:
    from iii.engine.functions import Function
    from iii.engine.invocation import Invocation

_CALLER_KEY = b"_caller_worker_id"
_members = msgspec.json.Decoder(dict[str, Raw])
_json = msgspec.json.Encoder().encode


def invocation_frame(invocation: Invocation, invocation_id: str, function: Function, data: bytes) -> bytes:
    """`invokefunction` towards the executor (01 §5.8); `data` is the payload as it is to arrive."""
    frame = b'{"type":"invokefunction","invocation_id":"%b","function_id":%b,"data":%b' % (
        invocation_id.encode(),
        function.id_json,
        data,
    )
    if invocation.traceparent is not None or invocation.baggage is not None:
        baggage = invocation.baggage
        if not is_builtin_id(function.id):
            baggage = baggage_for_target(baggage, function.id)
        frame += trace_members(invocation.traceparent, baggage)
    if invocation.metadata is not NULL:
        metadata = bytes(invocation.metadata)
        if metadata != b"null":
            return b'%b,"metadata":%b}' % (frame, metadata)
    return frame + b"}"


def result_frame(invocation: Invocation, call_id: str, result: bytes | None) -> bytes:
    """`invocationresult` of a success; without a result the member is left out (I2)."""
    frame = b'{"type":"invocationresult","invocation_id":"%b","function_id":%b' % (
        call_id.encode(),
        _json(invocation.function_id),
    )
    if result is not None:
        frame = b'%b,"result":%b' % (frame, result)
    if invocation.traceparent is not None or invocation.baggage is not None:
        frame += trace_members(invocation.traceparent, invocation.baggage)
    return frame + b"}"


def error_frame(call_id: str, function_id: str, error: bytes, trace: bytes = b"") -> bytes:
    """`invocationresult` of a failure; the ids are as the caller sent them, `error` is the error object."""
    return b'{"type":"invocationresult","invocation_id":%b,"function_id":%b,"error":%b%b}' % (
        _json(call_id),
        _json(function_id),
        error,
        trace,
    )


def trace_members(traceparent: str | None, baggage: str | None) -> bytes:
    """The trace context as further members of a message."""
    members = b""
    if traceparent is not None:
        members += b',"traceparent":"%b"' % traceparent.encode()
    if baggage is not None:
        members += b',"baggage":' + _json(baggage)
    return members


def caller_member(worker_id: str) -> bytes:
    """The member that names a caller, with the closing brace of the payload."""
    return b'"_caller_worker_id":"%b"}' % worker_id.encode()


def sign(data: bytes | Raw, member: bytes) -> bytes:
    """A payload with its caller's id, overwriting what the client sent; only objects carry one (01 §8.2)."""
    payload = bytes(data)
    if payload[:1] != b"{":
        return payload
    if _CALLER_KEY in payload or b"\\u" in payload:  # a key may hide behind escapes
        members = _members.decode(payload)
        if members.pop("_caller_worker_id", None) is not None:
            payload = _json(members)
    if len(payload) == 2 or payload[1:-1].isspace():
        return b"{" + member
    return payload[:-1] + b"," + member
