"""The two hot messages, built from bytes: payloads pass through without becoming objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

from iii.protocol.caller_id import CALLER_KEY, sign
from iii.protocol.messages import NULL
from iii.protocol.names import is_builtin_id
from iii.protocol.tracecontext import baggage_for_target, names_a_function

if TYPE_CHECKING:
    from iii.engine.functions import Function
    from iii.engine.invocation import Invocation

_OPENING_BRACE = ord("{")
_SMALL_BYTES = 4096
_CALL = b'{"type":"invokefunction","invocation_id":"'  # pieces are joined in half the time of a format
_RESULT = b'{"type":"invocationresult","invocation_id":"'
_FUNCTION_ID = b'","function_id":'
_TRACEPARENT = b',"traceparent":'
_VALID_TRACEPARENT = b',"traceparent":"'  # one that needs no escapes
_json = msgspec.json.Encoder().encode

Parts: TypeAlias = list[bytes | memoryview]


def invocation_frame(
    invocation: Invocation, invocation_id: str, function: Function, caller: bytes | None, closing: bytes = b"}"
) -> bytes:
    """`invokefunction` towards the executor (01 §5.8).

    Args:
        caller: the `caller_member` that signs the payload.
        closing: the brace, with any further members before it.
    """
    data = bytes(invocation.data)
    if caller is not None:
        if data[:2] == b'{"' and data.find(CALLER_KEY) < 0:  # nearly all payloads: `sign`, without copying them twice
            data = data[:-1]
            end = caller
        else:
            data = sign(data, caller)
            end = b""
    else:
        end = b""
    head, trace = invocation_id.encode(), invocation.traceparent
    if invocation.metadata is NULL:  # nearly all calls: the pieces in one go
        baggage = invocation.baggage
        if not invocation.echo:
            if baggage is None:
                if trace is None:
                    return b"".join((_CALL, head, function.call_members, data, end, closing))
                traced = _VALID_TRACEPARENT, trace.encode(), b'"', closing
                return b"".join((_CALL, head, function.call_members, data, end, *traced))
        elif trace is not None and (baggage is None or names_a_function(baggage)):
            last = function.trace_end or _trace_end(function)
            if last or baggage is None:
                traced = _VALID_TRACEPARENT, trace.encode(), b'"', last
                return b"".join((_CALL, head, function.call_members, data, end, *traced, closing))
    sidecars = _sidecars(invocation, function.id)
    return b"".join((_CALL, head, function.call_members, data, end, *sidecars, closing))


def _trace_end(function: Function) -> bytes:
    """What follows the `traceparent` in calls of it that came with no baggage but a function; kept with the function.

    Nothing follows it for a builtin id, whose baggage is unchanged.
    """
    baggage = None if is_builtin_id(function.id) else baggage_for_target(None, function.id)
    function.trace_end = end = trace_members(None, baggage)
    return end


def invocation_parts(
    invocation: Invocation, invocation_id: str, function: Function, caller: bytes | None, closing: bytes = b"}"
) -> Parts:
    """The same in pieces, for a call that came in a large message: its payload is neither copied nor looked at.

    Whoever decoded it has taken out the caller's id that a client may have put there.
    """
    data = memoryview(invocation.data)
    parts: Parts = [b"".join((_CALL, invocation_id.encode(), function.call_members))]
    if caller is None or data[0] != _OPENING_BRACE:
        parts.append(data)
    elif len(data) > _SMALL_BYTES:
        parts += (data[:-1], caller)
    else:
        parts.append(sign(bytes(data), caller))
    return [*parts, *_sidecars(invocation, function.id), closing]


def with_deadline(end: bytes, timeout_ms: int) -> bytes:
    """A call, or its last piece, for a worker that is told deadlines (P7)."""
    return b'%b,"timeout_ms":%d}' % (end[:-1], timeout_ms)


def _sidecars(invocation: Invocation, target: str) -> Parts:
    """Trace context and metadata as further members; baggage names the function if a worker's call had any (17 §3)."""
    baggage = invocation.baggage
    if invocation.echo and not is_builtin_id(target):
        baggage = baggage_for_target(baggage, target)
    members = trace_members(invocation.traceparent, baggage)
    if invocation.metadata is NULL:
        return [members]
    metadata = memoryview(invocation.metadata)
    return [members] if bytes(metadata[:5]) == b"null" else [members, b',"metadata":', metadata]


def result_frame(invocation: Invocation, call_id: str, result: bytes | memoryview | None) -> bytes:
    """`invocationresult` of a success; without a result the member is left out (I2)."""
    function_id, echo = _json(invocation.function_id), invocation.echo
    if result is None:
        return b"".join((_RESULT, call_id.encode(), _FUNCTION_ID, function_id, echo, b"}"))
    return b"".join((_RESULT, call_id.encode(), _FUNCTION_ID, function_id, b',"result":', result, echo, b"}"))


def result_parts(invocation: Invocation, call_id: str, result: bytes | memoryview) -> Parts:
    """The same in pieces, for a large result."""
    head = b"".join((_RESULT, call_id.encode(), _FUNCTION_ID, _json(invocation.function_id), b',"result":'))
    return [head, memoryview(result), invocation.echo + b"}"]


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
    if baggage is None:
        return b"" if traceparent is None else _TRACEPARENT + _json(traceparent)
    if traceparent is None:
        return b',"baggage":' + _json(baggage)
    return b"".join((_TRACEPARENT, _json(traceparent), b',"baggage":', _json(baggage)))
