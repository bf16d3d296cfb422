"""Functions of the engine that are there to be observed: events, as clients without triggers get them (21 §13)."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from iii.engine.functions import Function
from iii.engine.invocation import NO_TRACE, Trace
from iii.engine.observing.codes import NOT_CALLABLE
from iii.engine.observing.looks import Looks
from iii.engine.observing.origin import ENGINE_CALLER, depth_in
from iii.engine.observing.outcome import Outcome
from iii.engine.observing.traits import Traits
from iii.protocol.ids import new_id
from iii.protocol.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from iii.engine.invocation import Invocation
    from iii.engine.observing.hosting import SourceHost
    from iii.engine.observing.observer import Observer
    from iii.engine.observing.observers import Observers
    from iii.engine.owner import Owner
    from iii.engine.schema import Schema
    from iii.protocol.errors import InvocationError
    from iii.protocol.reply import Reply


class EventSource:
    """One event of a module; a module gives the same one whenever it is asked (`Module.sources`).

    Args:
        request_format: schema of the event, for filters.
        args_format: schema of what observers give along; None: nothing.
        host: is told of observers, and may refuse them.
    """

    __slots__ = ("_args_format", "_description", "_function", "_observers", "_request_format", "function_id", "host")

    def __init__(
        self,
        function_id: str,
        description: str,
        *,
        request_format: Schema = b"null",
        args_format: bytes | None = None,
        host: SourceHost | None = None,
    ) -> None:
        self.function_id = function_id
        self.host = host
        self._description = description
        self._request_format = request_format
        self._args_format = args_format
        self._function: Function | None = None
        self._observers: Observers | None = None

    def served_by(self, owner: Owner, observers: Observers) -> Function:
        """The function by which it is known."""
        self._observers = observers
        self._function = Function(
            DEFAULT_NAMESPACE,
            self.function_id,
            owner,
            _refuse,
            description=self._description,
            request_format=self._request_format,
            traits=Traits(self._args_format, is_source=True),
        )
        return self._function

    @property
    def observed(self) -> bool:
        """Whether an active observer exists; else the event need not be made."""
        function = self._function
        return function is not None and function.observers is not None

    def fire(
        self,
        event: bytes,
        trace: Trace = NO_TRACE,
        only: Collection[str] | None = None,
    ) -> None:
        """It happened: activate whom it is for, each with what it captures. Never raises.

        Args:
            trace: of the call that has caused it, with its depth, for the guard against loops (`trace_of`).
            only: ids of the observers that it is about, such as those with certain args.
        """
        function, observers = self._function, self._observers
        if function is None or function.observers is None or observers is None:
            return
        function.observers.fire(self._outcome(event, depth_in(trace.baggage), trace, observers), only)

    def call(
        self,
        observer: Observer,
        data: bytes | memoryview,
        reply: Reply[bytes, InvocationError],
        trace: Trace = NO_TRACE,
    ) -> Invocation:
        """Have the target of an observer answer; a refusal is told to `reply` too.

        Its `max_in_flight` counts only if it was told one.
        """
        assert self._observers is not None  # no observer without
        return self._observers.through.call_of_module(observer, data, reply, trace)

    def deeper(self, observer: Observer, baggage: str | None) -> str:
        """For a module that calls the target by itself: the baggage of that, from the one of the event.

        Raises InvocationError: LOOP_GUARD, the target is not to be called.
        """
        assert self._observers is not None  # as above
        return self._observers.through.deeper(observer, baggage)

    def matches(self, observer: Observer, event: bytes) -> bool:
        """Whether the filter of an observer matches an event, whatever outcome it wants; not one that is too large to look into."""
        if observer.filter.matches is None:
            return True
        assert self._observers is not None  # as above
        outcome = self._outcome(event, 0, NO_TRACE, self._observers)
        document = outcome.document(observer.filter.roots)
        return not outcome.unreadable and Looks(outcome).suffice(observer.filter) and observer.filter.matches(document)

    def _outcome(self, event: bytes, depth: int, trace: Trace, observers: Observers) -> Outcome:
        parts = {"input": event, "output": b"null", "caller": ENGINE_CALLER}
        outcome = Outcome(True, parts)
        outcome.describe(
            self.function_id, DEFAULT_NAMESPACE, new_id(), depth, observers.time_ms(), 0.0, trace.traceparent, trace.baggage
        )  # fmt: skip
        return outcome


def _refuse(invocation: Invocation, function: Function) -> None:
    invocation.refuse(NOT_CALLABLE(f"{function.id} is not called, but observed"))
