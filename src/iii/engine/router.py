"""The one way in: every call, whoever makes it, is looked up and handed on here (01 §8, 00 §1)."""

import logging

import msgspec
from msgspec import UNSET, Raw

from iii.engine.enqueue_request import EnqueueRequest
from iii.engine.expectations import Expectations
from iii.engine.functions import FunctionRegistry
from iii.engine.invocation import Callback, Invocation, Waiter
from iii.protocol.errors import NO_QUEUE_PROVIDER, EnqueueFailed, FunctionNotFound, InvocationError
from iii.protocol.ids import new_id
from iii.protocol.limits import FRAGMENT_BYTES
from iii.protocol.messages import NULL, Enqueue
from iii.protocol.names import DEFAULT_NAMESPACE, ENQUEUE_PROVIDER
from iii.protocol.reply import Reply
from iii.protocol.tracecontext import baggage_for_target

logger = logging.getLogger(__name__)


class Router:
    """Finds the function of a call, or keeps the call if its target is about to be registered (N2)."""

    def __init__(self, functions: FunctionRegistry, expected: Expectations) -> None:
        self.functions = functions
        self._expected = expected

    def invoke(self, invocation: Invocation) -> None:
        """Hand a call to whoever serves it; every failure is answered through the invocation."""
        function = self.functions.find(invocation.function_id, invocation.namespace)
        if function is not None:
            deliver = function.deliver
            deliver(invocation, function)
        elif not self._expected.hold(invocation, self.invoke):
            self.refuse_unknown(invocation)

    def call(
        self,
        function_id: str,
        namespace: str | None,
        data: bytes | Raw,
        reply: Reply[bytes, InvocationError] | None = None,
        *,
        metadata: bytes | Raw = NULL,
        traceparent: str | None = None,
        baggage: str | None = None,
    ) -> Invocation:
        """A call that the engine itself makes; without a `reply` nobody gets its outcome."""
        waiter: Waiter | None = Callback(reply) if reply is not None else None
        payload: bytes | Raw | memoryview = data
        if type(data) is bytes and len(data) > FRAGMENT_BYTES:
            payload = memoryview(data)  # handed on without a copy
        invocation = Invocation(
            function_id, namespace, payload, waiter=waiter, metadata=metadata, traceparent=traceparent, baggage=baggage
        )
        self.invoke(invocation)
        return invocation

    def enqueue(self, invocation: Invocation, action: Enqueue) -> None:
        """Hand a call to the queue provider; the caller's answer is a receipt (01 §8.4, I4).

        It is the engine's own, whatever a worker that provides the queue answers; the module of this process may answer
        with that of an earlier job, which has the same deduplication id.
        """
        provider = self.functions.find(ENQUEUE_PROVIDER, None)
        if provider is None:
            invocation.refuse(EnqueueFailed(NO_QUEUE_PROVIDER))
            return
        receipt = new_id()
        namespace, metadata = invocation.namespace, invocation.metadata
        request = EnqueueRequest(
            action.queue,
            invocation.function_id,
            Raw(invocation.data),
            receipt,
            invocation.traceparent,  # null is said
            baggage_for_target(invocation.baggage, invocation.function_id, escaped=True),
            UNSET if namespace is None or namespace == DEFAULT_NAMESPACE else namespace,
            UNSET if metadata is NULL or bytes(metadata) == b"null" else Raw(metadata),
            UNSET if action.delay_ms is None else action.delay_ms,
            UNSET if action.deduplication_id is None else action.deduplication_id,
            UNSET if action.priority is None else action.priority,
        )
        in_process = provider.owner.in_process

        def accepted(result: bytes | None, error: InvocationError | None) -> None:
            if error is not None:
                invocation.refuse(EnqueueFailed(_enqueue_failure(error)))
            elif in_process and result is not None:
                invocation.complete(result)
            else:
                invocation.complete(b'{"messageReceiptId":"%b"}' % receipt.encode())

        inner = Invocation(ENQUEUE_PROVIDER, None, NULL, waiter=Callback(accepted))
        if in_process:
            inner.request = request
        else:
            inner.data = msgspec.json.encode(request)
        provider.deliver(inner, provider)

    def refuse_unknown(self, invocation: Invocation) -> None:
        """`function_not_found`, with the namespaces that do have the id (01 §8.3)."""
        namespace = invocation.namespace or DEFAULT_NAMESPACE
        if invocation.waiter is None:
            logger.warning(
                "Function %s not found in namespace %s: call without an answer dropped",
                invocation.function_id,
                namespace,
            )
            return
        if invocation.caller is None:  # engine-made calls: without period and hint (I8)
            error = FunctionNotFound(invocation.function_id, namespace)
            error.message = error.message.removesuffix(".")
            invocation.refuse(error)
            return
        elsewhere = self.functions.namespaces_of(invocation.function_id)
        refused = self.functions.refused.get((namespace, invocation.function_id))
        invocation.refuse(FunctionNotFound(invocation.function_id, namespace, elsewhere, refused))


def _enqueue_failure(error: InvocationError) -> str:
    if error.code == "enqueue_error":  # the builtin provider's own text (I4)
        return error.message
    return f"{error.code}: {error.message}"
