"""Firing: an event happened, so the targets of its bindings are called (01 §7.9, T7)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from iii.engine.condition import Condition
from iii.engine.invocation import NO_TRACE, Trace, TriggerCall
from iii.engine.observing.origin import origin_in
from iii.protocol.limits import FRAGMENT_BYTES
from iii.protocol.log_event import LogEvent
from iii.protocol.tracecontext import ids_of

if TYPE_CHECKING:
    from iii.engine.bindings import Binding
    from iii.engine.clock import Clock
    from iii.engine.fan_out import FanOut
    from iii.engine.router import Router
    from iii.protocol.errors import InvocationError

CONDITION_FAILED = LogEvent(
    __name__, "trigger.condition_failed", logging.WARNING, "Trigger skipped: its condition failed",
    means="The condition function answered with an error or not in time; the target is not called for this event.",
    do="Look at the function that `condition` names.",
)  # fmt: skip


def fire(
    router: Router, binding: Binding, payload: bytes, trace: Trace = NO_TRACE, fan_out: FanOut | None = None
) -> None:
    """Call the target, fire and forget, with the binding's metadata beside the payload; a `fan_out` is told how it ends."""
    call = TriggerCall(
        binding.function_id,
        binding.namespace,
        payload if len(payload) <= FRAGMENT_BYTES else memoryview(payload),  # handed on without a copy
        waiter=fan_out,
        metadata=binding.metadata,
        traceparent=trace.traceparent,
        baggage=trace.baggage,
        binding=binding,
    )
    if trace.baggage is not None:
        call.origin = origin_in(trace.baggage)
    owner = binding.owner if binding.to_owner else None
    own = None if owner is None else router.functions.ownership.claim_of(owner, binding.target)
    if own is None:
        router.invoke(call)
    else:
        router.hand_over(call, own)


def fire_if(
    router: Router,
    clock: Clock,
    binding: Binding,
    payload: bytes,
    trace: Trace = NO_TRACE,
    then: Callable[[], None] = lambda: None,
    fan_out: FanOut | None = None,
) -> None:
    """As `fire`, for trigger types with conditions: only a no and an error keep the target from being called (T7).

    `then` is called when that is decided.
    """
    condition = binding.condition
    if condition is None:
        fire(router, binding, payload, trace, fan_out)
        then()
        return

    def decided(met: bool | None, error: InvocationError | None) -> None:
        if error is not None:
            CONDITION_FAILED(trigger=binding.id, condition=condition, reason=str(error), **ids_of(trace.traceparent))
        elif met:
            fire(router, binding, payload, trace, fan_out)
        if fan_out is not None and not met:
            fan_out.end(failed=error is not None)
        then()

    Condition(router, clock, condition, binding.namespace).decide(payload, decided, trace)
