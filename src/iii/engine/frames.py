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
_OPENING_BRACE, _QUOTE = b'{"'
_members = msgspec.json.Decoder(dict[str, Raw])
_json = msgspec.json.Encoder().encode


def invocation_frame(invocation: Invocation, invocation_id: str, function: Function, caller: bytes | None) -> bytes:
    """`invokefunction` towards the executor (01 §5.8); `caller` is the `caller_member` that signs the payload."""
    data = bytes(invocation.data)
    if caller is not None:
        if data[:2] == b'{"' and _CALLER_KEY not in data:  # nearly all payloads: `sign`, without copying them twice
            data = data[:-1]
            end = caller
        else:
            data = sign(data, caller)
            end = b""
    else:
        end = b""
    frame = b'{"type":"invokefunction","invocation_id":"%b","function_id":%b,"data":%b%b}' % (
        invocation_id.encode(),
        function.id_json,
        data,
        end,
    )
    if invocation.metadata is not NULL or invocation.traceparent is not None or invocation.baggage is not None:
        return frame[:-1] + _sidecars(invocation, function.id) + b"}"
    return frame


def _sidecars(invocation: Invocation, target: str) -> bytes:
    """Trace context and metadata as further members; baggage names a worker's function (06 §3)."""
    baggage = invocation.baggage
    if (baggage is not None or invocation.traceparent is not None) and not is_builtin_id(target):
        baggage = baggage_for_target(baggage, target)
    members = trace_members(invocation.traceparent, baggage)
    metadata = bytes(invocation.metadata)
    return members if metadata == b"null" else b'%b,"metadata":%b' % (members, metadata)


def result_frame(invocation: Invocation, call_id: str, result: bytes | None) -> bytes:
    """`invocationresult` of a success; without a result the member is left out (I2)."""
    if result is not None:
        frame = b'{"type":"invocationresult","invocation_id":"%b","function_id":%b,"result":%b}' % (
            call_id.encode(),
            _json(invocation.function_id),
            result,
        )
    else:
        frame = b'{"type":"invocationresult","invocation_id":"%b","function_id":%b}' % (
            call_id.encode(),
            _json(invocation.function_id),
        )
    if invocation.traceparent is not None or invocation.baggage is not None:
        return frame[:-1] + trace_members(invocation.traceparent, invocation.baggage) + b"}"
    return frame


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
    """What signs a payload: a further member that names the caller, up to the closing brace."""
    return b',"_caller_worker_id":"%b"}' % worker_id.encode()


def sign(data: bytes | Raw, member: bytes) -> bytes:
    """A payload with its caller's id, overwriting what the client sent; only objects carry one (01 §8.2).

    The id comes last, so that it also counts should a client have hidden another one behind escapes.
    """
    payload = bytes(data)
    if payload[0] != _OPENING_BRACE:
        return payload
    if _CALLER_KEY in payload:
        members = _members.decode(payload)
        if members.pop("_caller_worker_id", None) is not None:
            payload = _json(members)
    if payload[1] == _QUOTE:
        return payload[:-1] + member
    inside = payload[1:-1].strip()
    return b"{%b%b" % (inside, member if inside else member[1:])
