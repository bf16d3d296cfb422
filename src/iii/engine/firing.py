"""Firing: an event happened, so the targets of its bindings are called (01 §7.9, T7)."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from iii.engine.condition import Condition
from iii.engine.invocation import NO_TRACE, Trace
from iii.protocol.log_event import LogEvent

if TYPE_CHECKING:
    from iii.engine.bindings import Binding
    from iii.engine.clock import Clock
    from iii.engine.router import Router
    from iii.engine.turns import Turns
    from iii.protocol.errors import InvocationError

CONDITION_FAILED = LogEvent(
    __name__, "trigger.condition_failed", logging.WARNING, "Trigger skipped: its condition failed",
    means="The condition function answered with an error or not in time; the target is not called for this event.",
    do="Look at the function that `condition` names.",
)  # fmt: skip
EVENT_DROPPED = LogEvent(
    __name__, "trigger.event_dropped", logging.WARNING, "Event of a trigger dropped: too many wait for its condition",
    means="Events come faster than the condition function of the trigger answers.",
    do="Make the condition faster, or do without.",
)  # fmt: skip

EVENTS_WAITING = 10_000  # of one binding
_DEPTH = 8  # an event whose target causes the next one, and so on: then in a turn of their own, or Python's stack ends


def fire(router: Router, binding: Binding, payload: bytes, trace: Trace = NO_TRACE) -> None:
    """Call the target, fire and forget, with the binding's metadata beside the payload."""
    owner = binding.owner if binding.to_owner else None
    router.call(
        binding.function_id,
        binding.namespace,
        payload,
        metadata=binding.metadata,
        traceparent=trace.traceparent,
        baggage=trace.baggage,
        own=None if owner is None else router.functions.ownership.claim_of(owner, binding.target),
    )


def fire_if(
    router: Router,
    clock: Clock,
    binding: Binding,
    payload: bytes,
    trace: Trace = NO_TRACE,
    then: Callable[[], None] = lambda: None,
) -> None:
    """As `fire`, for trigger types with conditions: only a no and an error keep the target from being called (T7).

    `then` is called when that is decided.
    """
    condition = binding.condition
    if condition is None:
        fire(router, binding, payload, trace)
        then()
        return

    def decided(met: bool | None, error: InvocationError | None) -> None:
        if error is not None:
            CONDITION_FAILED(trigger=binding.id, condition=condition, reason=str(error))
        elif met:
            fire(router, binding, payload, trace)
        then()

    Condition(router, clock, condition, binding.namespace).decide(payload, decided, trace)


class OrderedFiring:
    """Fires each binding in the order of its events: the next one is looked at when the last one's condition has decided.

    Bindings do not wait for one another, and nobody waits for a target (05 §3.4).
    """

    def __init__(self, router: Router, clock: Clock, turns: Turns) -> None:
        self._router = router
        self._clock = clock
        self._turns = turns
        self._waiting: dict[Binding, deque[tuple[bytes, Trace]]] = {}
        self._depth = 0  # of events that were fired within the firing of another

    def fire(self, binding: Binding, payload: bytes, trace: Trace = NO_TRACE) -> None:
        """One event. Beyond 10,000 that wait for a condition it is dropped, with a warning."""
        waiting = self._waiting.get(binding)
        if waiting is not None:
            if len(waiting) < EVENTS_WAITING:
                waiting.append((payload, trace))
            else:
                EVENT_DROPPED(trigger=binding.id, limit=EVENTS_WAITING)
            return
        if self._depth >= _DEPTH:
            self._waiting[binding] = later = deque(((payload, trace),))
            self._clock.call_at(self._clock.now(), lambda: self._go_on(binding, later))
            return
        self._depth += 1
        try:
            if binding.condition is None:  # nearly all
                fire(self._router, binding, payload, trace)
            else:
                waiting = self._waiting[binding] = deque(((payload, trace),))
                self._go_on(binding, waiting)
        finally:
            self._depth -= 1

    def forget(self, binding: Binding) -> None:
        """The binding is gone, and its events with it."""
        self._waiting.pop(binding, None)

    def _go_on(self, binding: Binding, waiting: deque[tuple[bytes, Trace]]) -> None:
        self._turns.go(self._deciding(binding, waiting))

    def _deciding(self, binding: Binding, waiting: deque[tuple[bytes, Trace]]) -> Iterator[None]:
        """Ask for one event after the other as long as each is decided within the call; one a step."""
        asking = decided = False

        def then() -> None:
            nonlocal decided
            decided = True
            if not asking:
                self._go_on(binding, waiting)

        while waiting and self._waiting.get(binding) is waiting:
            asking, decided = True, False
            fire_if(self._router, self._clock, binding, *waiting.popleft(), then)
            asking = False
            if not decided:
                return
            yield
        if self._waiting.get(binding) is waiting:
            del self._waiting[binding]
