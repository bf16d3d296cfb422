"""What stands at a function that is observed, and follows its calls to their end (21 §1, 21 §9)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from iii.engine.observing.codes import OVERFLOW
from iii.engine.observing.origin import caller_of, depth_of_call
from iii.engine.observing.outcome import Outcome, call_outcome_id
from iii.engine.observing.snapshot import Snapshot
from iii.protocol.caller_id import unsigned
from iii.protocol.json_text import BAD_JSON
from iii.protocol.limits import OBSERVED_BYTES
from iii.protocol.log_event import LogEvent
from iii.protocol.message import NULL

if TYPE_CHECKING:
    from msgspec import Raw

    from iii.engine.clock import Clock
    from iii.engine.functions import Function
    from iii.engine.invocation import Invocation, Waiter
    from iii.engine.observing.observer import Observer
    from iii.engine.ownership import Key

EVALUATION_FAILED = LogEvent(
    __name__, "observer.evaluation_failed", logging.ERROR, "Observers of a call not asked: the engine failed",
    means="The call itself was answered; its observers miss it.",
    do="Report it with its stack trace.",
)  # fmt: skip

Activate: TypeAlias = "Callable[[list[Observer], Outcome], None]"

_names = msgspec.json.Decoder(frozenset[str])  # asked for each observer


class KeptBytes:
    """How much of the payloads of calls is kept for observers until they are answered."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0


class CallWatch:
    """Of one function, whoever serves it; its active observers."""

    __slots__ = ("_active", "_snapshot", "activate", "clock", "kept", "key")

    def __init__(self, key: Key, clock: Clock, activate: Activate, kept: KeptBytes) -> None:
        self.key = key
        self.kept = kept
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

    def fire(self, outcome: Outcome, only: Collection[str] | None) -> None:
        """An event of the engine happened. Never raises."""
        try:
            matching = self.snapshot.matching(outcome, only)
            if matching:
                self.activate(matching, outcome)
        except Exception as error:  # whatever has happened goes on
            EVALUATION_FAILED(error, function=outcome.function_id)

    def follow(self, invocation: Invocation, function: Function) -> None:
        """A call is about to be handed to the function: see what becomes of it."""
        snapshot = self._snapshot
        if snapshot is None:
            snapshot = self.snapshot
        sent = invocation.data
        screened = snapshot.screened(sent)
        if screened is not None and not screened:  # it is for nobody, whatever becomes of it
            return
        kept = self.kept
        size = len(sent)
        if kept.size + size > OBSERVED_BYTES:  # they would stay as long as the calls run (P6)
            for observer in snapshot.observers if screened is None else screened:
                observer.drop(OVERFLOW.code)
            return
        kept.size += size
        invocation.waiter = invocation.followed = Observation(self, snapshot, screened, invocation, function, size)


class Observation(Outcome):
    """Of one call, from when it is handed over: between it and whoever waits for it.

    A caller that leaves changes nothing: the answer counts when it comes.
    """

    __slots__ = ("_answer", "_chosen", "_delivered", "_function", "_input_sent", "_invocation", "_metadata", "_screened", "_size", "_snapshot", "_waiter", "_watch")  # fmt: skip

    def __init__(
        self,
        watch: CallWatch,
        snapshot: Snapshot,
        screened: Sequence[Observer] | None,
        invocation: Invocation,
        function: Function,
        size: int,
    ) -> None:
        # not the one of an Outcome: what that sets is looked up when it is asked for, which it seldom is
        self._watch = watch
        self._size = size
        self._snapshot = snapshot
        self._screened = screened
        self._function = function
        self._waiter: Waiter | None = invocation.waiter
        self._input_sent = invocation.data
        self._metadata = invocation.metadata
        self._chosen: frozenset[str] | None = None
        self._delivered = False

    @property
    def wants_answers(self) -> bool:
        waiter = self._waiter
        return waiter is not None and waiter.wants_answers

    def detach(self) -> Waiter | None:
        """The caller is not told any more; whom to tell instead."""
        waiter, self._waiter = self._waiter, None
        return waiter

    def choose(self, matched: Raw, delivered: Raw) -> None:
        """Its host says whom it is for (21 §9); what cannot be read is not said."""
        self._delivered = bytes(delivered) == b"true"
        if matched is not NULL:
            try:
                self._chosen = _names.decode(matched)
            except BAD_JSON:
                self._chosen = None

    def answered(self, invocation: Invocation, result: bytes | memoryview | None) -> None:
        waiter, invocation.followed = self._waiter, None  # calls are not collected in cycles
        self._watch.kept.size -= self._size
        if waiter is not None:
            waiter.answered(invocation, result)
        if not self._delivered:
            self._over(invocation, True, b"null" if result is None else result)

    def failed(self, invocation: Invocation, error: bytes) -> None:
        waiter, invocation.followed = self._waiter, None  # calls are not collected in cycles
        self._watch.kept.size -= self._size
        if waiter is not None:
            waiter.failed(invocation, error)
        if not self._delivered and self._reached(invocation):
            self._over(invocation, False, error)

    def part(self, name: str) -> bytes | None:
        if name == "input":
            part = self._input
            if part is None:
                part = self._input = unsigned(bytes(self._input_sent))
            return part
        if name == "output":
            return bytes(self._answer) if self.succeeded else None
        if name == "caller":
            return caller_of(self._invocation)
        raw = self.raw(name)
        return None if raw is None else bytes(raw)

    def raw(self, name: str) -> bytes | Raw | memoryview | None:
        if name == "input":
            return self._input_sent
        if name == ("output" if self.succeeded else "error"):
            return self._answer
        if name == "caller":
            return caller_of(self._invocation)
        if name == "metadata" and self._metadata is not NULL and bytes(self._metadata) != b"null":
            return self._metadata
        return None

    def _reached(self, invocation: Invocation) -> bool:
        """Whether a failed call came to whoever runs it: not one that was refused on the way, and of one that was lost on
        it only if no host decides whom its calls are for."""
        function = self._function
        if function.owner.in_process or function.invocation is not None:
            return True
        stopped = invocation.runner is None
        return invocation.id is not None and not (stopped and function.traits.args_format is not None)

    def _over(self, invocation: Invocation, succeeded: bool, answer: bytes | memoryview) -> None:
        try:
            self.succeeded = succeeded
            self._answer = answer
            self._invocation = invocation
            self.decoded = self._input = None
            self.unreadable = False
            matching = self._snapshot.matching(self, self._chosen, self._screened)
            if matching:
                self._complete(invocation)
                self._watch.activate(matching, self)
        except Exception as error:  # whoever reads the answer from its connection goes on
            EVALUATION_FAILED(error, function=self._function.id)

    def _complete(self, invocation: Invocation) -> None:
        """It is for somebody: what an envelope says besides."""
        clock, function = self._watch.clock, self._function
        duration_ms = (clock.now() - invocation.began) * 1000
        # as `describe` does
        self.function_id = function.id
        self.namespace = function.namespace
        self.invocation_id = call_outcome_id(invocation.id or invocation.call_id)
        self.depth = depth_of_call(invocation)
        self.started_at_ms = clock.time_ms() - int(duration_ms)
        self.duration_ms = duration_ms
        self.traceparent = invocation.traceparent
        self.baggage = invocation.baggage
        self._members = self._cause = self._veils = None
