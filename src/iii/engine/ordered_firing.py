"""Firing in the order of events, for trigger types whose events come as fast as messages do (05 §3.4)."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count
from typing import TYPE_CHECKING, TypeAlias

from iii.engine.fan_out import FanOut, of_binding, of_event
from iii.engine.firing import fire, fire_if
from iii.engine.invocation import NO_TRACE, Caller, Trace
from iii.protocol.limits import MIB
from iii.protocol.log_event import LogEvent

if TYPE_CHECKING:
    from iii.engine.bindings import Binding
    from iii.engine.clock import Clock
    from iii.engine.router import Router
    from iii.engine.turns import Turns

EVENT_DROPPED = LogEvent(
    __name__, "trigger.event_dropped", logging.WARNING, "Event of a trigger dropped: too many wait for its condition",
    means="Events come faster than the condition function of the trigger answers.",
    do="Make the condition faster, or do without.",
)  # fmt: skip
EVENTS_OVERFLOW = LogEvent(
    __name__, "trigger.events_overflow", logging.WARNING, "Event dropped for all its triggers: too many events wait",
    means="Functions that triggers call cause more events than the engine can fire, such as a topic whose subscribers publish to it.",
    do="Look for triggers whose functions cause the event that they are called for.",
)  # fmt: skip

EVENTS_WAITING = 10_000  # of one binding, for its condition; of all, that no connection has caused
BYTES_WAITING = (
    64 * MIB
)  # of events that no connection has caused: the others are bounded by what their callers may send
FIRED_AT_ONCE = 500  # in one turn of the loop: 3 us each, 15 if a condition is decided at once


_Firing: TypeAlias = tuple[bytes, Trace, FanOut | None]
"""Of one event for one binding: the payload, and what belongs to it."""


class _Event:
    """What happened, and those of its bindings that it is still to be fired for."""

    __slots__ = ("bindings", "cause", "fan_out", "is_paused", "number", "payload", "trace")

    def __init__(
        self,
        number: int,
        bindings: Iterator[Binding],
        payload: bytes,
        trace: Trace,
        cause: Caller | None,
        fan_out: FanOut | None,
    ):
        self.number = number
        self.bindings = bindings
        self.payload = payload
        self.trace = trace
        self.cause = cause
        self.fan_out = fan_out
        self.is_paused = False  # the cause


class OrderedFiring:
    """Fires one event after the other, each for one binding after the other.

    A binding with a condition looks at its next event when the condition of the last one has decided; bindings do not wait
    for one another, and nobody waits for a target (05 §3.4). What is more than one turn of the loop takes is left for the
    next one, and whoever caused it says nothing more until then. An event that is caused by the firing of another one comes
    after it.
    """

    def __init__(self, router: Router, clock: Clock, turns: Turns, *, each_traced: bool = False) -> None:
        """`each_traced`: each firing has a span of its own, as one of an event of the engine."""
        self._router = router
        self._clock = clock
        self._turns = turns
        self._each_traced = each_traced
        self._numbers = count()
        self._events: deque[_Event] = deque()
        self._uncaused_bytes = 0  # of those without a connection that could be paused
        self._left = FIRED_AT_ONCE  # of this turn
        self._working = False
        self._next_is_due = False
        self._forgotten: dict[Binding, int] = {}  # with the first event that is for it again
        self._waiting: dict[Binding, deque[_Firing]] = {}  # for a condition

    def fire(
        self,
        bindings: Iterable[Binding],
        payload: bytes,
        trace: Trace = NO_TRACE,
        cause: Caller | None = None,
        span: str | None = None,
    ) -> None:
        """One event, for the bindings that there are now.

        Beyond 10,000 that wait for the condition of a binding it is dropped for that one, with a warning. Beyond 10,000 or
        64 MiB that wait and that no connection has caused it is dropped altogether.

        Args:
            span: its name, if the event has one; targets get the trace of that.
        """
        if cause is None:
            if len(self._events) >= EVENTS_WAITING or self._uncaused_bytes > BYTES_WAITING:
                EVENTS_OVERFLOW(limit=EVENTS_WAITING, limit_bytes=BYTES_WAITING)
                return
            self._uncaused_bytes += len(payload)
        fan_out, tracer = None, self._router.tracer
        if span is not None and tracer is not None:
            fan_out = of_event(tracer, span, trace)
            trace = fan_out.trace
        event = _Event(next(self._numbers), iter(bindings), payload, trace, cause, fan_out)
        self._events.append(event)
        if not (self._working or self._next_is_due):
            self._work()
        if cause is not None and self._events and self._events[-1] is event:
            event.is_paused = True
            cause.pause_reading()

    def forget(self, binding: Binding) -> None:
        """The binding is gone, and its events with it."""
        for _, _, fan_out in self._waiting.pop(binding, ()):
            if fan_out is not None:
                fan_out.end()
        if self._events:
            self._forgotten[binding] = next(self._numbers)

    def _work(self) -> None:
        self._working = True
        try:
            while self._events:
                event = self._events[0]
                self._fire_for_all(event)
                if self._left <= 0:
                    return
                self._events.popleft()
                self._over(event)
            self._forgotten.clear()
        finally:
            self._working = False
            if self._events and not self._next_is_due:
                self._next_is_due = True
                self._clock.call_at(self._clock.now(), self._next_turn)

    def _next_turn(self) -> None:
        self._next_is_due = False
        self._left = FIRED_AT_ONCE
        self._work()

    def _over(self, event: _Event) -> None:
        if event.fan_out is not None:
            event.fan_out.end()
        if event.cause is None:
            self._uncaused_bytes -= len(event.payload)
        elif event.is_paused:
            event.cause.resume_reading()

    def _fire_for_all(self, event: _Event) -> None:
        """Until the turn is over, which leaves the event where it is, even if it was the last of its bindings."""
        for binding in event.bindings:
            if not self._forgotten or event.number > self._forgotten.get(binding, -1):
                self._fire_for(binding, event)
            self._left -= 1
            if self._left <= 0:
                return

    def _fire_for(self, binding: Binding, event: _Event) -> None:
        waiting, fan_out, trace = self._waiting.get(binding), event.fan_out, event.trace
        if waiting is not None and len(waiting) >= EVENTS_WAITING:
            EVENT_DROPPED(trigger=binding.id, limit=EVENTS_WAITING)
            if fan_out is not None:
                fan_out.begin()
                fan_out.end(failed=True)
            return
        if fan_out is not None:
            fan_out.begin()
        elif self._each_traced and (tracer := self._router.tracer) is not None:
            fan_out = of_binding(tracer, binding)
            trace = fan_out.trace
        if waiting is not None:
            waiting.append((event.payload, trace, fan_out))
        elif binding.condition is None:  # nearly all
            fire(self._router, binding, event.payload, trace, fan_out)
        else:
            waiting = self._waiting[binding] = deque(((event.payload, trace, fan_out),))
            self._go_on(binding, waiting)

    def _go_on(self, binding: Binding, waiting: deque[_Firing]) -> None:
        self._turns.go(self._deciding(binding, waiting))

    def _deciding(self, binding: Binding, waiting: deque[_Firing]) -> Iterator[None]:
        """Ask for one event after the other as long as each is decided within the call; one a step."""
        asking = decided = False

        def then() -> None:
            nonlocal decided
            decided = True
            if not asking:
                self._go_on(binding, waiting)

        while waiting and self._waiting.get(binding) is waiting:
            asking, decided = True, False
            payload, trace, fan_out = waiting.popleft()
            fire_if(self._router, self._clock, binding, payload, trace, then, fan_out)
            asking = False
            if not decided:
                return
            yield
        if self._waiting.get(binding) is waiting:
            del self._waiting[binding]
