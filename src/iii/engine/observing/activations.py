"""Calls of targets: how many at once, in which order, and when no more (21 §10)."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar, Protocol

from msgspec import Struct

from iii.engine.invocation import Invocation
from iii.engine.observing.codes import LOOP_GUARD, MAX_FIRES, OVERFLOW, TARGET_UNAVAILABLE
from iii.engine.observing.origin import CallOrigin
from iii.protocol.ids import new_id
from iii.protocol.limits import (
    ACTIVATION_S,
    ALL_WAITING_BYTES,
    FRAGMENT_BYTES,
    OBSERVE_DEPTH,
    OBSERVER_WAITING,
    OBSERVER_WAITING_BYTES,
)
from iii.protocol.log_event import LogEvent

if TYPE_CHECKING:
    from iii.engine.clock import Clock
    from iii.engine.observing.observer import Observer
    from iii.engine.observing.outcome import Outcome
    from iii.engine.router import Router
    from iii.engine.turns import Turns
    from iii.protocol.errors import ErrorCode

ACTIVATION_FAILED = LogEvent(
    __name__, "observer.activation_failed", logging.DEBUG, "Activation failed: the target of an observer answered with an error",
    means="The answer is dropped; `errors` of the observer counts it.",
    do="Look at the log of the worker that serves the target.",
)  # fmt: skip
ACTIVATION_DROPPED = LogEvent(
    __name__, "observer.activation_dropped", logging.WARNING, "Activation dropped: an observer misses a call",
    means="More activations wait for the target than the engine keeps, or observers cause each other without end; `dropped` of the observer counts them.",
    do="Make the target faster, or break the loop that `reason` names.",
)  # fmt: skip

_AT_ONCE = 50  # activations of one call that are started before anything else is done
_BACKLOG = 100_000  # matches that wait for their turn


class RunningCall(Protocol):
    """A call that an observer makes, until its answer."""

    @property
    def observer(self) -> Observer: ...


class Activation(Struct, eq=False):
    """One call of a target, until its answer, which nobody gets. A Struct, which is made in a third of the time."""

    wants_answers: ClassVar[bool] = False

    activations: Activations
    observer: Observer

    def answered(self, invocation: Invocation, result: bytes | memoryview | None) -> None:
        self.activations.ended(self)

    def failed(self, invocation: Invocation, error: bytes) -> None:
        self.observer.errors += 1
        ACTIVATION_FAILED(observer=self.observer.id, function=invocation.function_id)
        self.activations.ended(self)


class Activations:
    """Of all observers of one engine.

    Attributes:
        waiting_bytes: of calls that are to activate observers when others have ended; one that waits for several counts for each.
    """

    def __init__(
        self, clock: Clock, router: Router, turns: Turns, dispose: Callable[[Observer, ErrorCode, str], None]
    ) -> None:
        self._clock = clock
        self._router = router
        self._turns = turns
        self._dispose = dispose
        self._backlog: deque[tuple[Observer, Outcome | None]] = deque()  # without: look what waits
        self._busy = False
        self._working = False
        self.waiting_bytes = 0

    def activate(self, observers: list[Observer], outcome: Outcome) -> None:
        """These are to hear of a call; in their order, and in that of the calls."""
        if self._busy or self._backlog or len(observers) > _AT_ONCE:
            self._put_off(observers, outcome)
            return
        self._busy = True  # what a target causes at once has its turn later: it may be as much again
        try:
            for observer in observers:
                self._offer(observer, outcome)
        finally:
            self._busy = False
            if self._backlog:
                self._work_off()

    def ended(self, activation: RunningCall) -> None:
        """It has its answer, or none will come."""
        observer = activation.observer
        if observer.running.pop(activation, None) is not None and observer.waiting:
            if self._busy:
                self._put_off([observer], None)
            else:
                self._pump(observer)

    def forget(self, observer: Observer) -> None:
        """It is disposed: nothing more is started for it."""
        if observer.stalled is not None:
            observer.stalled.cancel()
            observer.stalled = None
        self.waiting_bytes -= observer.waiting_bytes
        observer.waiting_bytes = 0
        observer.waiting.clear()

    def origin(self, observer: Observer, caller: bytes, depth: int) -> tuple[CallOrigin, str]:
        """What a call that an observer makes carries, and the id of its activation."""
        activation_id = new_id()
        activation = b"".join((observer.opening, activation_id.encode(), b'"}'))
        return CallOrigin(caller, depth, activation, observer.party.peer), activation_id

    def fired(self, observer: Observer) -> None:
        """One more was started; perhaps the last."""
        limit = observer.limit
        if limit is not None and observer.fires >= limit:
            self._dispose(observer, MAX_FIRES, f"all {limit} activations were started")

    def drop(self, observer: Observer, code: str) -> None:
        """It misses a call; the first time for this reason that is logged."""
        if code not in observer.dropped:
            ACTIVATION_DROPPED(observer=observer.id, function=observer.definition.key[1], reason=code)
        observer.drop(code)

    # -- one by one -----------------------------------------------------------------------------------------------

    def _offer(self, observer: Observer, outcome: Outcome) -> None:
        if observer.disposed:
            return
        if outcome.depth >= OBSERVE_DEPTH:
            self.drop(observer, LOOP_GUARD.code)
        elif (observer.state != "active" or observer.party.peer is None) and not observer.receptive:
            observer.drop("INACTIVE" if observer.reason is None else observer.reason.code)
        elif observer.limit is not None and observer.spent:
            return
        elif len(observer.running) < observer.at_once and not observer.waiting:
            self._start(observer, outcome)
        else:
            self._wait(observer, outcome)

    def _wait(self, observer: Observer, outcome: Outcome) -> None:
        size = outcome.size
        if (
            len(observer.waiting) >= OBSERVER_WAITING
            or observer.waiting_bytes + size > OBSERVER_WAITING_BYTES
            or self.waiting_bytes + size > ALL_WAITING_BYTES
        ):
            self.drop(observer, OVERFLOW.code)
            return
        observer.waiting.append(outcome)
        observer.waiting_bytes += size
        self.waiting_bytes += size
        self._watch_stall(observer)

    def _pump(self, observer: Observer) -> None:
        """Start what waits, as far as that goes."""
        self._busy = True
        try:
            while observer.waiting and len(observer.running) < observer.at_once:
                outcome = observer.waiting.popleft()
                observer.waiting_bytes -= outcome.size
                self.waiting_bytes -= outcome.size
                if observer.receptive:
                    self._start(observer, outcome)
                else:
                    observer.drop("INACTIVE" if observer.reason is None else observer.reason.code)
        finally:
            self._busy = False
            self._work_off()

    def _start(self, observer: Observer, outcome: Outcome) -> None:
        definition = observer.definition
        namespace, function_id = definition.target
        target = self._router.functions.find(function_id, namespace)
        if target is None:
            observer.drop(TARGET_UNAVAILABLE.code)
            return
        origin, activation_id = self.origin(observer, outcome.cause, outcome.depth + 1)
        if definition.deliver == "envelope":
            data = outcome.envelope(observer.opening, activation_id.encode(), observer.capture, observer.veiled)
        else:
            part_of = outcome.veiled if observer.veiled else outcome.part
            data = part_of(definition.deliver) or b"null"
        activation = Activation(self, observer)
        observer.running[activation] = self._clock.now()
        observer.fires += 1
        invocation = Invocation(
            function_id,
            namespace,
            memoryview(data) if len(data) > FRAGMENT_BYTES else data,
            activation,
            None,
            activation_id,  # one id more would cost as much as its envelope's parts
            observer.handed_on,
            outcome.traceparent,
            outcome.baggage,
            origin=origin,
        )
        self._router.hand_over(invocation, target)
        if observer.limit is not None:
            self.fired(observer)

    def _watch_stall(self, observer: Observer) -> None:
        """An activation without answer holds up others only so long."""
        if observer.stalled is None and observer.running:
            oldest = next(iter(observer.running.values()))
            observer.stalled = self._clock.call_at(oldest + ACTIVATION_S, lambda: self._stalled(observer))

    def _stalled(self, observer: Observer) -> None:
        observer.stalled = None
        before = self._clock.now() - ACTIVATION_S
        for activation, began in list(observer.running.items()):
            if began <= before:
                del observer.running[activation]
        self._pump(observer)
        if observer.waiting:
            self._watch_stall(observer)

    # -- in turns -------------------------------------------------------------------------------------------------

    def _put_off(self, observers: list[Observer], outcome: Outcome | None) -> None:
        room = len(observers) if outcome is None else max(0, _BACKLOG - len(self._backlog))
        self._backlog.extend((observer, outcome) for observer in observers[:room])
        for observer in observers[room:]:
            self.drop(observer, OVERFLOW.code)
        if not self._busy:
            self._work_off()

    def _work_off(self) -> None:
        if self._backlog and not self._working:
            self._working = True
            self._turns.go(self._working_off())

    def _working_off(self) -> Iterator[None]:
        while self._backlog:
            observer, outcome = self._backlog.popleft()
            if outcome is None:
                if observer.waiting:
                    self._pump(observer)
            else:
                self._busy = True
                try:
                    self._offer(observer, outcome)
                finally:
                    self._busy = False
            yield
        self._working = False
