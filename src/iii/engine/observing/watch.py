"""What stands at a function that is observed, and follows its calls to their end (21 §1, 21 §9)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from iii.engine.invocation import Invocation
from iii.engine.observing.origin import caller_of, depth_of_call
from iii.engine.observing.outcome import Outcome, call_outcome_id
from iii.engine.observing.snapshot import Snapshot
from iii.protocol.json_text import BAD_JSON
from iii.protocol.log_event import LogEvent
from iii.protocol.message import NULL

if TYPE_CHECKING:
    from msgspec import Raw

    from iii.engine.clock import Clock
    from iii.engine.functions import Function
    from iii.engine.observing.observer import Observer
    from iii.engine.ownership import Key

EVALUATION_FAILED = LogEvent(
    __name__, "observer.evaluation_failed", logging.ERROR, "Observers of a call not asked: the engine failed",
    means="The call itself was answered; its observers miss it.",
    do="Report it with its stack trace.",
)  # fmt: skip

Activate: TypeAlias = "Callable[[list[Observer], Outcome], None]"

_names = msgspec.json.Decoder(list[str])


class CallWatch:
    """Of one function, whoever serves it; its active observers."""

    __slots__ = ("_active", "_snapshot", "activate", "clock", "key")

    def __init__(self, key: Key, clock: Clock, activate: Activate) -> None:
        self.key = key
        self.clock = clock
        self.activate = activate
        self._active: dict[str, Observer] = {}
        self._snapshot: Snapshot | None = None

    def __len__(self) -> int:
        return len(self._active)

    def add(self, observer: Observer) -> None:
        self._active[observer.id] = observer
        self._snapshot = None

    def remove(self, observer: Observer) -> None:
        if self._active.pop(observer.id, None) is not None:
            self._snapshot = None

    @property
    def snapshot(self) -> Snapshot:
        """As it is now; what changes later does not change it."""
        snapshot = self._snapshot
        if snapshot is None:
            snapshot = self._snapshot = Snapshot(self._active.values())
        return snapshot

    def fire(self, outcome: Outcome, only: Callable[[Observer], bool] | None) -> None:
        """An event of the engine happened. Never raises."""
        try:
            matching = self.snapshot.matching(outcome)
            if only is not None:
                matching = [observer for observer in matching if only(observer)]
            if matching:
                self.activate(matching, outcome)
        except Exception as error:  # whatever has happened goes on
            EVALUATION_FAILED(error, function=outcome.function_id)

    def follow(self, invocation: Invocation, function: Function) -> Invocation:
        """A call is about to be handed to the function: what is handed over in its place."""
        if function.traits.owner_delivers:
            return invocation
        return Observation(self, self.snapshot, invocation, function).inner


class Observation:
    """Between a call and the one that its function gets: the waiter of one, the runner of the other.

    A caller that leaves changes nothing: the answer counts when it comes.
    """

    __slots__ = ("_chosen", "_delivered", "_function", "_input", "_metadata", "_outer", "_snapshot", "_watch", "inner")

    def __init__(self, watch: CallWatch, snapshot: Snapshot, outer: Invocation, function: Function) -> None:
        self._watch = watch
        self._snapshot = snapshot
        self._outer: Invocation | None = outer
        self._function = function
        self._input = outer.data
        self._metadata = outer.metadata
        self._chosen: list[str] | None = None
        self._delivered = False
        self.inner = Invocation(
            outer.function_id, outer.namespace, outer.data, self, outer.caller, outer.call_id, outer.metadata,
            outer.traceparent, outer.baggage, outer.echo, None, None, outer.request, outer.timeout_ms, None, 0.0, outer.origin,
        )  # fmt: skip
        outer.id, outer.runner = outer.call_id or "", self
        outer.data = outer.metadata = NULL

    @property
    def wants_answers(self) -> bool:
        outer = self._outer
        return outer is not None and not outer.is_void

    def chosen(self, matched: Raw, delivered: Raw) -> None:
        """Its host says whom it is for (21 §9); what cannot be read is not said."""
        self._delivered = bytes(delivered) == b"true"
        if matched is not NULL:
            try:
                self._chosen = _names.decode(matched)
            except BAD_JSON:
                self._chosen = None

    def answered(self, invocation: Invocation, result: bytes | memoryview | None) -> None:
        outer = self._release()
        if outer is not None:
            outer.complete(result)
        self._over(True, b"null" if result is None else result)

    def failed(self, invocation: Invocation, error: bytes) -> None:
        outer = self._release()
        if outer is not None:
            outer.fail(error)
        if self._reached():
            self._over(False, error)

    def let_go(self, invocation_id: str, cancels: bool) -> None:
        """The caller is not told any more; whoever runs it may be told to stop."""
        self._outer = None
        runner = self.inner.runner
        if cancels and runner is not None and self.inner.id is not None:
            runner.stop(self.inner.id)

    def stop(self, invocation_id: str) -> None:
        """As `let_go`, for a call that is observed twice over."""
        self.let_go(invocation_id, True)

    def slow_down(self, seconds: float) -> None:
        if self.inner.runner is not None:
            self.inner.runner.slow_down(seconds)

    def _release(self) -> Invocation | None:
        outer, self._outer = self._outer, None
        if outer is not None:
            outer.id, outer.runner = self.inner.id, self.inner.runner
        return outer

    def _reached(self) -> bool:
        """Whether a failed call came to whoever runs it: not one that was refused on the way, and of one that was lost on
        it only if no host decides whom its calls are for."""
        function, inner = self._function, self.inner
        if function.owner.in_process or function.invocation is not None:
            return True
        stopped = inner.runner is None
        return inner.id is not None and not (stopped and function.traits.args_format is not None)

    def _over(self, succeeded: bool, answer: bytes | memoryview) -> None:
        if self._delivered:
            return
        try:
            outcome = self._outcome(succeeded, answer)
            matching = self._snapshot.matching(outcome, self._chosen)
            if matching:
                self._watch.activate(matching, outcome)
        except Exception as error:  # whoever reads the answer from its connection goes on
            EVALUATION_FAILED(error, function=self._function.id)

    def _outcome(self, succeeded: bool, answer: bytes | memoryview) -> Outcome:
        inner, clock = self.inner, self._watch.clock
        parts: dict[str, bytes | Raw | memoryview] = {
            "input": self._input,
            "output" if succeeded else "error": answer,
            "caller": caller_of(inner),
        }
        metadata = self._metadata
        if metadata is not NULL and bytes(metadata) != b"null":
            parts["metadata"] = metadata
        duration_ms = (clock.now() - inner.began) * 1000
        return Outcome(
            self._function.id,
            self._function.namespace,
            call_outcome_id(inner.id or inner.call_id),
            succeeded,
            parts,
            depth_of_call(inner),
            clock.time_ms() - int(duration_ms),
            duration_ms,
            inner.traceparent,
            inner.baggage,
        )
