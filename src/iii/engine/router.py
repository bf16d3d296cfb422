"""The one way in: every call, whoever makes it, is looked up and handed on here (01 §8, 00 §1)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from msgspec import Raw

from iii.engine.deadlines import Deadlines
from iii.engine.expectations import Expectations
from iii.engine.functions import Function, FunctionRegistry
from iii.engine.invocation import Callback, Invocation
from iii.engine.observing.origin import origin_in
from iii.engine.tally import TIDY_EVERY, Tallies
from iii.protocol.errors import FunctionNotFound, InvocationError
from iii.protocol.limits import FRAGMENT_BYTES
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import NULL
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.reply import Reply
from iii.protocol.tracecontext import ids_of

if TYPE_CHECKING:
    from iii.engine.tracing import Tracer

CALL_DROPPED = LogEvent(
    __name__, "call.dropped", logging.WARNING, "Call without an answer dropped: its function is unknown",
    means="No worker has the function in that namespace. The call was void, or made by the trigger that `trigger` names, so that no caller learns of it.",
    do="Look at the name and the namespace, and whether the worker runs.",
)  # fmt: skip


class Router:
    """Finds the function of a call, or keeps the call if its target is about to be registered (N2).

    Attributes:
        tracer: makes the engine's own spans; None: nobody keeps any.
    """

    def __init__(
        self, functions: FunctionRegistry, expected: Expectations, deadlines: Deadlines, tallies: Tallies
    ) -> None:
        self.functions = functions
        self.deadlines = deadlines
        self.tallies = tallies
        self.tracer: Tracer | None = None
        self._expected = expected
        self._find = functions.in_default  # at hand: nearly all calls

    def invoke(self, invocation: Invocation) -> None:
        """Hand a call to whoever serves it; every failure is answered through the invocation."""
        namespace, function_id = invocation.namespace, invocation.function_id
        find = self._find
        function = find(function_id) if namespace is None else self.functions.find(function_id, namespace)
        if function is not None:
            if function.observers is not None:
                function.observers.follow(invocation, function)
            tally = function.tally
            if tally is None:
                tally = function.tally = self.tallies.of(function)
            begun = tally.begun = tally.begun + 1
            if not begun % TIDY_EVERY:
                tally.tidy()
            invocation.tally = tally
            invocation.began = tally.now()
            tracer = self.tracer
            if tracer is not None and (
                function.owner.begins_traces
                or (function.traced and (invocation.traceparent is not None or tracer.eager))
            ):
                tracer.call(invocation, function)
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
        own: Function | None = None,
    ) -> Invocation:
        """A call that the engine itself makes; without a `reply` nobody gets its outcome.

        `own` is one owner's registration, which runs it whoever serves the function for others (P9).
        """
        waiter = Callback(reply) if reply is not None else None
        payload: bytes | Raw | memoryview = data
        if type(data) is bytes and len(data) > FRAGMENT_BYTES:
            payload = memoryview(data)  # handed on without a copy
        invocation = Invocation(
            function_id, namespace, payload, waiter=waiter, metadata=metadata, traceparent=traceparent, baggage=baggage
        )
        if baggage is not None:
            invocation.origin = origin_in(baggage)
        if own is None:
            self.invoke(invocation)
        else:
            self.hand_over(invocation, own)
        return invocation

    def hand_over(self, invocation: Invocation, function: Function) -> None:
        """Have a call run by one function, and counted; `invoke` does so by itself, to save the call of this."""
        if function.observers is not None:
            function.observers.follow(invocation, function)
        tally = function.tally
        if tally is None:
            tally = function.tally = self.tallies.of(function)
        begun = tally.begun = tally.begun + 1
        if not begun % TIDY_EVERY:
            tally.tidy()
        invocation.tally = tally
        invocation.began = tally.now()
        tracer = self.tracer
        if tracer is not None and (
            function.owner.begins_traces or (function.traced and (invocation.traceparent is not None or tracer.eager))
        ):
            tracer.call(invocation, function)
        function.deliver(invocation, function)

    def refuse_unknown(self, invocation: Invocation) -> None:
        """`function_not_found`, with the namespaces that do have the id (01 §8.3)."""
        self.tallies.miss(invocation.function_id)
        namespace = invocation.namespace or DEFAULT_NAMESPACE
        if invocation.is_void:
            CALL_DROPPED(
                function=invocation.function_id, namespace=namespace, **invocation.made_by(), **ids_of(invocation.traceparent)
            )  # fmt: skip
            if invocation.waiter is None:
                return
        if invocation.caller is None:  # engine-made calls: without period and hint (I8)
            error = FunctionNotFound(invocation.function_id, namespace)
            error.message = error.message.removesuffix(".")
            invocation.refuse(error)
            return
        elsewhere = self.functions.namespaces_of(invocation.function_id)
        refused = self.functions.refused.get((namespace, invocation.function_id))
        invocation.refuse(FunctionNotFound(invocation.function_id, namespace, elsewhere, refused))
