"""The `enqueue` action of a call: the protocol defines it as a call of one id (01 §8.4, 04 §3.4, I9).

So the core knows that id, and no module: whoever holds it provides the queue.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from iii.engine.invocation import Callback, Invocation, Trace
from iii.engine.observing.origin import trace_of
from iii.protocol.errors import NO_QUEUE_PROVIDER, EnqueueFailed, InvocationError
from iii.protocol.ids import new_id
from iii.protocol.messages import NULL, Enqueue
from iii.protocol.names import DEFAULT_NAMESPACE, ENQUEUE_PROVIDER
from iii.protocol.quoted import shortened
from iii.protocol.tracecontext import baggage_for_target

if TYPE_CHECKING:
    from iii.engine.router import Router
    from iii.engine.tracing import Notes, OpenSpan, Tracer


class EnqueueRequest(Struct, rename="camel", gc=False):
    """A job for a named queue. Members that are UNSET are not said: older providers refuse what they do not know."""

    queue: str = ""
    function_id: str = msgspec.field(name="function_id", default="")
    data: Raw = NULL
    message_receipt_id: str = ""
    traceparent: str | UnsetType | None = UNSET
    baggage: str | UnsetType | None = UNSET
    namespace: str | UnsetType | None = UNSET
    metadata: Raw | UnsetType = UNSET
    delay_ms: int | UnsetType | None = msgspec.field(name="delay_ms", default=UNSET)
    deduplication_id: str | UnsetType | None = msgspec.field(name="deduplication_id", default=UNSET)
    priority: int | UnsetType | None = UNSET


def enqueue(router: Router, invocation: Invocation, action: Enqueue) -> None:
    """Hand a call to the queue provider; the caller's answer is a receipt (01 §8.4, I4).

    It is the engine's own, whatever a worker that provides the queue answers; the module of this process may answer
    with that of an earlier job, which has the same deduplication id.
    """
    baggage = baggage_for_target(trace_of(invocation).baggage, invocation.function_id, escaped=True)
    trace, span = Trace(invocation.traceparent, baggage), None
    if router.tracer is not None:
        span = _begin_span(router.tracer, invocation.function_id, action.queue, trace)
        trace = span.trace

    def refuse(error: EnqueueFailed) -> None:
        if span is not None:
            span.fail(error.encode())
        invocation.refuse(error)

    provider = router.functions.find(ENQUEUE_PROVIDER, None)
    if provider is None:
        refuse(EnqueueFailed(NO_QUEUE_PROVIDER))
        return
    receipt = new_id()
    request = _request(invocation, action, receipt, trace)
    in_process = provider.owner.in_process

    def accepted(result: bytes | None, error: InvocationError | None) -> None:
        if error is not None:
            refuse(EnqueueFailed(_enqueue_failure(error)))
            return
        if span is not None:
            span.end()
        if in_process and result is not None:
            invocation.complete(result)
        else:
            invocation.complete(b'{"messageReceiptId":"%b"}' % receipt.encode())

    waiter = Callback(accepted)
    if in_process:  # its request need not become JSON and an object again
        inner = Invocation(ENQUEUE_PROVIDER, None, NULL, waiter, request=request)
    else:
        inner = Invocation(ENQUEUE_PROVIDER, None, msgspec.json.encode(request), waiter)
    router.hand_over(inner, provider)


def _request(invocation: Invocation, action: Enqueue, receipt: str, trace: Trace) -> EnqueueRequest:
    namespace, metadata = invocation.namespace, invocation.metadata
    return EnqueueRequest(
        action.queue,
        invocation.function_id,
        Raw(invocation.data),
        receipt,
        trace.traceparent,  # null is said
        trace.baggage,
        UNSET if namespace is None or namespace == DEFAULT_NAMESPACE else namespace,
        UNSET if metadata is NULL or bytes(metadata) == b"null" else Raw(metadata),
        UNSET if action.delay_ms is None else action.delay_ms,
        UNSET if action.deduplication_id is None else action.deduplication_id,
        UNSET if action.priority is None else action.priority,
    )


def _begin_span(tracer: Tracer, function_id: str, queue: str, parent: Trace) -> OpenSpan:
    """Of the way into a queue; neither name need be of something that exists."""
    name, attributes = _way(shortened(function_id), shortened(queue))
    return tracer.begin(name, "internal", parent, attributes)


@lru_cache(maxsize=1024)
def _way(function_id: str, queue: str) -> tuple[str, Notes]:
    """The name of a span, and its attributes: one object for all of them."""
    return f"enqueue {function_id} → {queue}", (("function_id", function_id), ("queue", queue))


def _enqueue_failure(error: InvocationError) -> str:
    if error.code == EnqueueFailed.code:  # the builtin provider's own text (I4)
        return error.message
    return f"{error.code}: {error.message}"
