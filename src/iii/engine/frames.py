"""The two hot messages, built from bytes: payloads pass through without becoming objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

from iii.protocol.caller_id import CALLER_KEY, sign
from iii.protocol.messages import NULL
from iii.protocol.names import is_builtin_id
from iii.protocol.tracecontext import baggage_for_target

if TYPE_CHECKING:
    from iii.engine.functions import Function
    from iii.engine.invocation import Invocation

_OPENING_BRACE = ord("{")
_SMALL_BYTES = 4096
_json = msgspec.json.Encoder().encode

Parts: TypeAlias = list[bytes | memoryview]


def invocation_frame(invocation: Invocation, invocation_id: str, function: Function, caller: bytes | None) -> bytes:
    """`invokefunction` towards the executor (01 §5.8); `caller` is the `caller_member` that signs the payload."""
    data = bytes(invocation.data)
    if caller is not None:
        if data[:2] == b'{"' and CALLER_KEY not in data:  # nearly all payloads: `sign`, without copying them twice
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
        return b"".join((frame[:-1], *_sidecars(invocation, function.id), b"}"))
    return frame


def invocation_parts(invocation: Invocation, invocation_id: str, function: Function, caller: bytes | None) -> Parts:
    """The same in pieces, for a call that came in a large message: its payload is neither copied nor looked at.

    Whoever decoded it has taken out the caller's id that a client may have put there.
    """
    data = memoryview(invocation.data)
    head = b'{"type":"invokefunction","invocation_id":"%b","function_id":%b,"data":' % (
        invocation_id.encode(),
        function.id_json,
    )
    parts: Parts = [head]
    if caller is None or data[0] != _OPENING_BRACE:
        parts.append(data)
    elif len(data) > _SMALL_BYTES:
        parts += (data[:-1], caller)
    else:
        parts.append(sign(bytes(data), caller))
    return [*parts, *_sidecars(invocation, function.id), b"}"]


def _sidecars(invocation: Invocation, target: str) -> Parts:
    """Trace context and metadata as further members; baggage names a worker's function (06 §3)."""
    baggage = invocation.baggage
    if (baggage is not None or invocation.traceparent is not None) and not is_builtin_id(target):
        baggage = baggage_for_target(baggage, target)
    members = trace_members(invocation.traceparent, baggage)
    metadata = memoryview(invocation.metadata)
    return [members] if bytes(metadata[:5]) == b"null" else [members, b',"metadata":', metadata]


def result_frame(invocation: Invocation, call_id: str, result: bytes | memoryview | None) -> bytes:
    """`invocationresult` of a success; without a result the member is left out (I2)."""
    if result is not None:
        frame = b'{"type":"invocationresult","invocation_id":"%b","function_id":%b,"result":%b}' % (
            call_id.encode(),
            _json(invocation.function_id),
            result,  # type: ignore[str-format]  # a view is written as bytes are
        )
    else:
        frame = b'{"type":"invocationresult","invocation_id":"%b","function_id":%b}' % (
            call_id.encode(),
            _json(invocation.function_id),
        )
    if invocation.traceparent is not None or invocation.baggage is not None:
        return frame[:-1] + trace_members(invocation.traceparent, invocation.baggage) + b"}"
    return frame


def result_parts(invocation: Invocation, call_id: str, result: bytes | memoryview) -> Parts:
    """The same in pieces, for a large result."""
    head = b'{"type":"invocationresult","invocation_id":"%b","function_id":%b,"result":' % (
        call_id.encode(),
        _json(invocation.function_id),
    )
    return [head, memoryview(result), trace_members(invocation.traceparent, invocation.baggage) + b"}"]


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
