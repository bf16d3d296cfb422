"""Spans of the engine itself, as whoever makes them sees it; a module keeps them, and there may be none (17 §1).

tracer = self.engine.router.tracer
if tracer is not None:
    span = tracer.begin("GET /orders", "server", parent, (("http.route", "/orders"),))
    trace = span.trace  # for what is called on behalf of it
    ...
    span.end("ok")
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from iii.engine.invocation import NO_TRACE

if TYPE_CHECKING:
    from iii.engine.functions import Function
    from iii.engine.invocation import Invocation, Trace

SpanKind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]
SpanOutcome: TypeAlias = Literal["ok", "error", "unset"]
Notes: TypeAlias = Iterable[tuple[str, str]]
"""Attributes: keys and values, in this order."""


class OpenSpan(Protocol):
    """A span that was begun. It is ended once, by `end` or `fail`; after that nothing changes it.

    Attributes:
        trace: what to hand on to what it causes: its own `traceparent`, flags included, and the baggage of its parent.
        sampled: False: nothing of it is kept, and attributes need not be made; it is ended all the same.
    """

    @property
    def trace(self) -> Trace: ...

    @property
    def sampled(self) -> bool: ...

    def note(self, attributes: Notes) -> None:
        """Add attributes."""

    def end(self, status: SpanOutcome = "ok") -> None:
        """It is over."""

    def fail(self, error: bytes) -> None:
        """It is over, with an error object as JSON, as `Invocation.fail` takes it: `error.*` and an event say which."""


class CallSpan(OpenSpan, Protocol):
    """The span of a call, which a success ends without a call of it.

    Attributes:
        end_ns: 0 until it has ended, then when; by the time of day.
        aside: whether it is to be told that `end_ns` was set.
    """

    end_ns: int
    aside: bool

    def ended(self) -> None:
        """It went well, and has its end."""


class Tracer(Protocol):
    """Makes spans. Never raises.

    Attributes:
        eager: whether calls of builtins have spans without trace context, too.
    """

    eager: bool

    def begin(
        self, name: str, kind: SpanKind, parent: Trace = NO_TRACE, attributes: Notes = (), trace_state: str = ""
    ) -> OpenSpan:
        """Begin one now.

        Args:
            parent: its `traceparent` is valid or None; None begins a trace. Its baggage becomes attributes, too.
            trace_state: the header `tracestate`, kept beside a `traceparent`.
        """

    def call(self, invocation: Invocation, function: Function) -> None:
        """A call is about to be handed to a function: if it is to have a span, begin that, and let the call end it.

        The call then hands on the trace of its span. Asked for functions of an owner that `begins_traces`; of those that are
        `traced` for calls with trace context, and for all if `eager`.
        """
