"""Makes the engine's own spans, and tells of them once they have ended, or somebody looks (17 §1, §2)."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from iii.engine.invocation import NO_TRACE, Trace
from iii.modules.observability.signals import Signals, Source
from iii.modules.observability.tracing.engine_span import EngineSpan, RecordedCall, UnsampledSpan
from iii.modules.observability.tracing.ids import new_span_id, new_trace_id
from iii.modules.observability.watched.targets import OBSERVING
from iii.protocol.names import is_builtin_id
from iii.protocol.tracecontext import baggage_values

if TYPE_CHECKING:
    from iii.engine.clock import Clock, Timer
    from iii.engine.functions import Function
    from iii.engine.invocation import Invocation
    from iii.engine.tracing import Notes, OpenSpan, SpanKind
    from iii.modules.observability.records import Attributes, Resource
    from iii.modules.observability.tracing.sampler import TraceSampler

TOLD_AT_ONCE = 128  # ended spans
TOLD_AFTER_S = 0.1  # if fewer have ended
SHOWN_AT_ONCE = 256  # open spans, when somebody looks
_SAMPLED = "13579bdf"  # last digit of the flags
_NONE: list[Any] = []  # events and links of spans that have none
_OWN: Resource = {}
_FUNCTIONS = 10_000  # whose calls are known


class _Called(NamedTuple):
    """What spans of the calls of one function have in common."""

    name: str
    attributes: Attributes
    is_builtin: bool


class EngineTracer:
    """The tracer of an engine with spans.

    Ended spans are told together: all listeners of `Signals.spans` cost more than a span does.

    Args:
        live: whether open spans are told as pending to those who look.
        eager: whether calls of builtins have spans without trace context.
    """

    def __init__(
        self, clock: Clock, signals: Signals, sampler: TraceSampler, service: str, live: bool, eager: bool
    ) -> None:
        self.sampler = sampler
        self.eager = eager
        self.time_ns = clock.time_ns
        self._now = clock.now
        self._clock = clock
        self._signals = signals
        self._service = service
        self._live = live
        self._open: dict[str, EngineSpan] = {}  # not shown yet; by span id
        self._ended: list[EngineSpan] = []
        self._timer: Timer | None = None
        self._called: dict[str, _Called | None] = {}  # None: never a span
        signals.looking.subscribe(self.show)

    def begin(
        self, name: str, kind: SpanKind, parent: Trace = NO_TRACE, attributes: Notes = (), trace_state: str = ""
    ) -> OpenSpan:
        """As `Tracer` says."""
        traceparent, baggage = parent
        sampler = self.sampler
        if traceparent is None:
            trace_id, above, trace_state = new_trace_id(), None, ""
            sampled = sampler.everything or sampler.begins(name, trace_id)
        else:
            trace_id, above = traceparent[3:35], traceparent[36:52]
            sampled = traceparent[54] in _SAMPLED if sampler.parent_based else sampler.begins(name, trace_id)
        if not sampled:
            return UnsampledSpan(Trace(f"00-{trace_id}-{above or new_span_id()}-00", baggage))
        span_id = new_span_id()
        notes = list(attributes)
        if baggage:
            notes += _notes_of(baggage)
        span = EngineSpan(
            trace_id, span_id, above, name, self.time_ns(), 0, "unset", notes, self._service, _NONE, _NONE, "", "", "",
            1, trace_state, True, kind, _OWN, f"00-{trace_id}-{span_id}-01", baggage, self,
        )  # fmt: skip
        if self._live:
            self._open[span_id] = span
            if self._signals.watched:
                self._tell_later()
        return span

    def call(self, invocation: Invocation, function: Function) -> None:
        """As `Tracer` says."""
        try:
            called = self._called[function.id]
        except KeyError:
            called = self._meet(function.id)
        if called is None:
            return
        traceparent, counts = invocation.traceparent, invocation.tally
        if counts is None:
            return
        if called.is_builtin:
            if traceparent is None and not self.eager:
                return
        elif not function.owner.begins_traces and function.invocation is None:
            return
        baggage, sampler = invocation.baggage, self.sampler
        if traceparent is None:
            trace_id, above = new_trace_id(), None
            sampled = sampler.everything or sampler.begins(called.name, trace_id)
        else:
            trace_id, above = traceparent[3:35], traceparent[36:52]
            sampled = traceparent[54] in _SAMPLED if sampler.parent_based else sampler.begins(called.name, trace_id)
        if not sampled:
            invocation.traceparent = f"00-{trace_id}-{above or new_span_id()}-00"
            return
        span_id = new_span_id()
        invocation.traceparent = own = f"00-{trace_id}-{span_id}-01"
        attributes = called.attributes if not baggage else [*called.attributes, *_notes_of(baggage)]
        invocation.tally = span = RecordedCall(
            trace_id, span_id, above, called.name, self.time_ns(), 0, "unset", attributes, self._service, _NONE, _NONE,
            "", "", "", 1, "", True, "server", _OWN, own, baggage, self, counts, self._now,
        )  # fmt: skip
        if self._live:
            self._open[span_id] = span
            if self._signals.watched:
                self._tell_later()

    def ended(self, span: EngineSpan) -> None:
        """One of its spans does not change any more."""
        if self._live:
            self._open.pop(span.span_id, None)
        ended = self._ended
        ended.append(span)
        if len(ended) >= TOLD_AT_ONCE:
            self.tell()
        elif self._timer is None:
            self._tell_later()

    def tell(self) -> None:
        """Tell of those that have ended."""
        ended = self._ended
        if ended:
            self._ended = []
            self._signals.spans(ended, Source.ENGINE)

    def show(self) -> None:
        """Somebody looks: tell of all that have ended, and of those that are open, the longest ones first."""
        self.tell()
        if self._open:
            shown = list(islice(self._open.values(), SHOWN_AT_ONCE))
            for span in shown:
                del self._open[span.span_id]
            self._signals.spans(shown, Source.ENGINE)

    def stop(self) -> None:
        """Nothing is left to tell."""
        if self._timer is not None:
            self._timer.cancel()
        self.tell()

    def _tell_later(self) -> None:
        if self._timer is None:
            self._timer = self._clock.call_at(self._clock.now() + TOLD_AFTER_S, self._overdue)

    def _overdue(self) -> None:
        self._timer = None
        if self._signals.watched:
            self.show()
            if self._open:
                self._tell_later()
        else:
            self.tell()

    def _meet(self, function_id: str) -> _Called | None:
        """What is known of a function that is called for the first time."""
        called: _Called | None = None
        if not function_id.startswith(OBSERVING):
            is_builtin = is_builtin_id(function_id)
            attributes = [
                ("faas.invoked_name", function_id), ("function_id", function_id), ("faas.trigger", "other"),
                ("iii.function.kind", "internal" if is_builtin else "user"),
            ]  # fmt: skip
            called = _Called(f"call {function_id}", attributes, is_builtin)
        if len(self._called) >= _FUNCTIONS:
            self._called.clear()
        self._called[function_id] = called
        return called


@lru_cache(maxsize=256)
def _notes_of(baggage: str) -> tuple[tuple[str, str], ...]:
    return tuple(baggage_values(baggage).items())
