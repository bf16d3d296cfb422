"""Calls that a middleware function gets instead of their targets (20 §9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from iii.engine.invocation import Invocation
from iii.engine.observing.origin import origin_in, trace_of
from iii.engine.relay import relay
from iii.protocol.limits import FRAGMENT_BYTES
from iii.protocol.names import DEFAULT_NAMESPACE, ENGINE_PREFIX

if TYPE_CHECKING:
    from iii.engine.functions import Function
    from iii.engine.router import Router
    from iii.protocol.messages import Enqueue, Void

_json = msgspec.json.Encoder().encode


class Middleware:
    """Of one session."""

    __slots__ = ("_context", "_function_id", "_ip_address", "_router")

    def __init__(self, router: Router, function_id: str, context: bytes, ip_address: str | None) -> None:
        self._router = router
        self._function_id = function_id
        self._context = context
        self._ip_address = ip_address

    def takes(self, invocation: Invocation, target: Function | None) -> bool:
        """Whether it gets a call: not those of the engine's own functions, nor those of the worker that is the middleware."""
        if invocation.function_id.startswith(ENGINE_PREFIX) and (target is None or target.owner.in_process):
            return False
        own = self._router.functions.find(self._function_id, invocation.namespace)
        copies = () if own is None else own.copies or (own,)
        caller_id = "" if invocation.caller is None else invocation.caller.worker_id
        return all(copy.owner.worker_id != caller_id or copy.owner.in_process for copy in copies)

    def invoke(self, invocation: Invocation, action: Void | Enqueue | None) -> None:
        """Hand it a call; what it answers is the answer."""
        trace = trace_of(invocation)
        inner = Invocation(
            self._function_id,
            invocation.namespace,
            self._payload(invocation, action),
            metadata=invocation.metadata,
            traceparent=trace.traceparent,
            baggage=trace.baggage,
            origin=None if trace.baggage is None else origin_in(trace.baggage),
        )
        relay(invocation, inner)
        self._router.invoke(inner)

    def _payload(self, invocation: Invocation, action: Void | Enqueue | None) -> bytes | memoryview:
        caller = invocation.caller
        payload = b"".join(
            (
                b'{"function_id":', _json(invocation.function_id),
                b',"payload":', invocation.data if isinstance(invocation.data, memoryview) else bytes(invocation.data),
                b',"action":', _json(action),
                b',"context":', self._context,
                b',"namespace":', _json(invocation.namespace or DEFAULT_NAMESPACE),
                b',"session_id":', _json(caller.worker_id if caller is not None else None),
                b',"ip_address":', _json(self._ip_address), b"}",
            )
        )  # fmt: skip
        return payload if len(payload) <= FRAGMENT_BYTES else memoryview(payload)
